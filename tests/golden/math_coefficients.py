#!/usr/bin/env python3
"""Computes the polynomials of core/math.h: weighted minimax by the Remez exchange, in 120 digits (needs mpmath).

Each entry asks for the polynomial p of the given degree on [a, b] that minimises max |weight(x) (p(x) - f(x))|, where the
weight turns an error of p into a relative error of the function it serves. Coefficients are then rounded to the type; the
error before and after that is printed."""
from mpmath import mp, mpf, exp, log, tanh, erf, erfc, sin, pi, sqrt, cos, lu_solve, matrix
import struct

mp.dps = 120


def round_to(x, bits):
    if bits == 24:
        return mpf(struct.unpack("f", struct.pack("f", float(x)))[0])
    return mpf(float(x))


def remez(f, weight, a, b, degree):
    """The coefficients, lowest first, and the weighted error."""
    n = degree + 2
    points = [(a + b) / 2 - (b - a) / 2 * cos(pi * (mpf(i) + mpf(1) / 2) / n) for i in range(n)]
    grid = [(a + b) / 2 - (b - a) / 2 * cos(pi * mpf(i) / (40 * n)) for i in range(40 * n + 1)]
    table = [(x, weight(x), f(x)) for x in grid]
    for _ in range(30):
        m, r = matrix(n, n), matrix(n, 1)
        for i, x in enumerate(points):
            for j in range(degree + 1):
                m[i, j] = x ** j
            m[i, degree + 1] = (-1) ** i / weight(x)
            r[i] = f(x)
        s = lu_solve(m, r)
        c, level = [s[j] for j in range(degree + 1)], abs(s[degree + 1])
        e = [w * (sum(cj * x ** j for j, cj in enumerate(c)) - y) for x, w, y in table]
        runs, best = [], None
        for i in range(len(e)):
            if best is None or (e[i] > 0) == (e[best] > 0):
                if best is None or abs(e[i]) > abs(e[best]):
                    best = i
            else:
                runs.append(best)
                best = i
        runs.append(best)
        worst = max(abs(v) for v in e)
        if len(runs) < n or worst < level * mpf("1.001"):
            return c, worst
        while len(runs) > n:
            runs.pop(0 if abs(e[runs[0]]) < abs(e[runs[-1]]) else -1)
        points = [grid[i] for i in runs]
    return c, worst


def fit(name, bits, f, weight, a, b, degree):
    a, b = mpf(a), mpf(b)
    c, error = remez(f, weight, a, b, degree)
    print(f"{name}: degree {degree} on [{float(a):.6g}, {float(b):.6g}], error 2^{float(log(error, 2)):.2f}", end=", ")
    done = [round_to(k, bits) for k in c]
    grid = [a + (b - a) * mpf(i) / 2000 for i in range(2001)]
    error = max(abs(weight(x) * (sum(k * x ** i for i, k in enumerate(done)) - f(x))) for x in grid)
    print(f"rounded 2^{float(log(error, 2)):.2f}")
    print("    " + ", ".join(float(k).hex() + ("f" if bits == 24 else "") for k in done), flush=True)


def near(x):
    """Away from 0, where the quotients below cannot be taken."""
    return x if abs(x) > mpf(10) ** -30 else mpf(10) ** -30


def main():
    half = log(mpf(2)) / 2 * mpf("1.0001")
    low, high = sqrt(mpf("0.5")) - 1, sqrt(mpf(2)) - 1

    def exp_q(r):
        r = near(r)
        return (exp(r) - 1 - r) / r ** 2

    def log_p(x):
        x = near(x)
        return (log(1 + x) - x + x * x / 2) / x ** 3 if abs(x) > mpf(10) ** -6 else mpf(1) / 3 - x / 4 + x * x / 5

    def log_r(z):
        s = sqrt(near(z))
        return (log((1 + s) / (1 - s)) / s - 2) / near(z)

    def tanh_p(z):
        x = sqrt(near(z))
        return (tanh(x) / x - 1) / near(z)

    def erf_p(z):
        x = sqrt(near(z))
        return erf(x) / x - 1

    def sin_p(z):
        y = sqrt(near(z))
        return sin(pi / 2 * y) / y

    s_max = (high / (2 + high)) ** 2
    for bits, degrees in ((24, dict(exp=4, log=7, tanh=4, erf=6, tail=7)),
                          (53, dict(exp=10, log=7, tanh=11, erf=12, tail=18, sin=8))):
        fit(f"exp {bits}", bits, exp_q, lambda r: near(r) ** 2 / exp(r), -half, half, degrees["exp"])
        if bits == 24:
            fit(f"log {bits}", bits, log_p, lambda x: near(x) ** 3 / log(1 + near(x)), low, high, degrees["log"])
        else:
            fit(f"log {bits}", bits, log_r, lambda z: near(z) / 2, 0, s_max * mpf("1.001"), degrees["log"])
        fit(f"tanh {bits}", bits, tanh_p, lambda z: near(z) * sqrt(near(z)) / tanh(sqrt(near(z))), 0, mpf("0.3025"), degrees["tanh"])
        fit(f"erf {bits}", bits, erf_p, lambda z: sqrt(near(z)) / erf(sqrt(near(z))), 0, 1, degrees["erf"])
        if bits == 24:
            fit(f"-log erfc {bits}", bits, lambda x: -log(erfc(x)), lambda x: erfc(x) / erf(x) + mpf(10) ** -10, 1, 4, degrees["tail"])
        else:
            # erfc(x) exp(x^2) as a polynomial in t = (x - 2) / (x + 2), relative error
            fit(f"erfcx {bits}", bits, lambda t: erfc(2 * (1 + t) / (1 - t)) * exp((2 * (1 + t) / (1 - t)) ** 2),
                lambda t: 1 / (erfc(2 * (1 + t) / (1 - t)) * exp((2 * (1 + t) / (1 - t)) ** 2)), mpf(-1) / 3, mpf("0.5"), degrees["tail"])
            fit(f"sin {bits}", bits, sin_p, lambda z: 1 / sin_p(z), 0, 1, degrees["sin"])


if __name__ == "__main__":
    main()
