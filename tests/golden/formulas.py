"""One update of one parameter, as the specification has it: f(o, s, x, g) with options o, state s (s["t"] is the count
of this update, 1 at the first) and Rounded x and g. Returns the new x. Missing slots of s start as Rounded zeros."""
import math

import numpy as np

from rounded import Rounded, U, maximum


def slot(s, name, x, initial=0.0):
    if name not in s:
        s[name] = Rounded(np.full_like(x.value, initial), U * abs(initial))
    return s[name]


def slope(o, x, g):
    """g' = g + wd x"""
    return g + o["weight_decay"] * x if o["weight_decay"] else g


def average(s, name, beta, x, new):
    s[name] = beta * slot(s, name, x) + (1 - beta) * new
    return s[name]


def sgd(o, s, x, g):
    g, mu, lr = slope(o, x, g), o["momentum"], o["lr"]
    if mu == 0:
        return x - lr * g
    if o["convention"] == "velocity":
        push = (lr * (1 - o["dampening"])) * g
        s["v"] = v = mu * slot(s, "v", x) - push
        return x + ((mu * v - push) if o["nesterov"] else v)
    s["b"] = b = mu * slot(s, "b", x) + (1 if s["t"] == 1 else 1 - o["dampening"]) * g
    return x - lr * ((g + mu * b) if o["nesterov"] else b)


def lion(o, s, x, g):
    b1, b2 = o["betas"]
    m = slot(s, "m", x)
    direction = (b1 * m + (1 - b1) * g).sign()
    s["m"] = b2 * m + (1 - b2) * g
    return (1 - o["lr"] * o["weight_decay"]) * x - o["lr"] * direction


def moments(o, s, x, g):
    """m, and the divisor sqrt(v) / sqrt(c2) + eps; c1 and c2 are 1 without bias correction."""
    (b1, b2), corrected = o["betas"], o.get("do_bias_correction", True)
    m, v = average(s, "m", b1, x, g), average(s, "v", b2, x, g * g)
    c1, c2 = (1 - b1 ** s["t"], 1 - b2 ** s["t"]) if corrected else (1, 1)
    if o.get("amsgrad"):
        s["vmax"] = v = maximum(slot(s, "vmax", x), v)
    return m, c1, (1 / math.sqrt(c2)) * v.sqrt() + o["eps"]


def adam(o, s, x, g):
    m, c1, divisor = moments(o, s, x, slope(o, x, g))
    return x - (o["lr"] / c1) * m / divisor


def adamw(o, s, x, g):
    m, c1, divisor = moments(o, s, x, g)
    return x - (o["lr"] * o["weight_decay"]) * x - (o["lr"] / c1) * m / divisor


def lamb(o, s, x, g):
    m, c1, divisor = moments(o, s, x, g if o["adam_w_mode"] else slope(o, x, g))
    u = (1 / c1) * m / divisor
    if o["decay_in_trust_ratio"]:
        u = u + o["weight_decay"] * x
    of_x, of_u = x.norm(), u.norm()
    ratio = of_x / of_u if of_x.value > 0 and of_u.value > 0 else Rounded(1.0)
    rate = o["lr"] * ratio
    if o["adam_w_mode"] and not o["decay_in_trust_ratio"]:
        return x - rate * u - rate * (o["weight_decay"] * x)
    return x - rate * u


def adamax(o, s, x, g):
    g, (b1, b2) = slope(o, x, g), o["betas"]
    m = average(s, "m", b1, x, g)
    s["u"] = maximum(b2 * slot(s, "u", x), g.abs() + o["eps"])
    return x - (o["lr"] / (1 - b1 ** s["t"])) * m / s["u"]


def nadam(o, s, x, g, as_torch_1_13=False):
    g, (b1, b2), t = slope(o, x, g), o["betas"], s["t"]
    m, v = average(s, "m", b1, x, g), average(s, "v", b2, x, g * g)
    mu, after = (b1 * (1 - 0.5 * 0.96 ** (k * o["momentum_decay"])) for k in (t, t + 1))
    s["P"] = product = s.get("P", 1.0) * mu
    d = (1 / math.sqrt(1 - b2 ** t)) * v.sqrt() + o["eps"]
    later = product * after * (mu if as_torch_1_13 else 1)
    lr = o["lr"]
    return x - (lr * (1 - mu) / (1 - product)) * g / d - (lr * after / (1 - later)) * m / d


def radam(o, s, x, g):
    g, (b1, b2), t = slope(o, x, g), o["betas"], s["t"]
    m, v = average(s, "m", b1, x, g), average(s, "v", b2, x, g * g)
    c1, c2, most = 1 - b1 ** t, 1 - b2 ** t, 2 / (1 - b2) - 1
    rho = most - 2 * t * b2 ** t / c2
    assert abs(rho - 5) > 1e-9, "rounding would decide which rule applies"
    if rho <= 5:
        return x - (o["lr"] / c1) * m
    rect = math.sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
    return x - (o["lr"] / c1 * rect * math.sqrt(c2)) * m / (v.sqrt() + o["eps"])


def adagrad(o, s, x, g):
    g, lr = slope(o, x, g), o["lr"] / (1 + (s["t"] - 1) * o["lr_decay"])
    s["sum"] = slot(s, "sum", x, o["initial_accumulator_value"]) + g * g
    inside = o["eps_placement"] == "inside"
    return x - lr * g / ((s["sum"] + o["eps"]).sqrt() if inside else s["sum"].sqrt() + o["eps"])


def rmsprop(o, s, x, g):
    g, lr, alpha = slope(o, x, g), o["lr"], o["alpha"]
    r = average(s, "r", alpha, x, g * g)
    if o["centered"]:
        a = average(s, "a", alpha, x, g)
        r = maximum(r - a * a, 0)
    d = (r + o["eps"]).sqrt() if o["eps_placement"] == "inside" else r.sqrt() + o["eps"]
    if o["convention"] == "velocity":
        s["V"] = v = o["momentum"] * slot(s, "V", x) + lr * g / d if o["momentum"] else lr * g / d
        return x - v
    s["b"] = b = o["momentum"] * slot(s, "b", x) + g / d if o["momentum"] else g / d
    return x - lr * b


def adadelta(o, s, x, g):
    g, rho, eps = slope(o, x, g), o["rho"], o["eps"]
    square = average(s, "s", rho, x, g * g)
    d = (slot(s, "a", x) + eps).sqrt() / (square + eps).sqrt() * g
    average(s, "a", rho, x, d * d)
    return x - o["lr"] * d


# ---- Muon. Its products mix all elements, so its bound is one on the Frobenius norm of a parameter's error ----

A, B, C = 3.4445, -4.7750, 2.0315


def polynomial(t):
    return A * t + B * t ** 3 + C * t ** 5


def growth(singular_values, error):
    """How a perturbation of X of Frobenius norm `error` leaves p(X), at most. To first order, in the bases of singular
    vectors, its parts are multiplied by p'(s), (p(s) - p(t)) / (s - t), (p(s) + p(t)) / (s + t) and p(s) / s, s and t
    being singular values. What is of higher order is at most that of the polynomial with all signs plus, whose terms
    bound those of p(X + E) one by one."""
    s, t = np.meshgrid(singular_values, singular_values)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(s == t, A + 3 * B * s ** 2 + 5 * C * s ** 4, (polynomial(s) - polynomial(t)) / (s - t))
    first = max(np.abs(slope).max(), np.abs((polynomial(s) + polynomial(t)) / (s + t)).max())
    at = singular_values.max()
    higher = [-B * y ** 3 + C * y ** 5 for y in (at + error, at)]
    return 1.001 * first * error + higher[0] - higher[1] - (-3 * B * at ** 2 + 5 * C * at ** 4) * error


def orthogonalised(u, steps):
    """X after the Newton-Schulz steps, and a bound on the Frobenius norm of its error in float32.

    A step applies the odd polynomial p to the singular values of X. An error that X has grows as growth() says, and
    the step's own rounding comes to it, with the usual bound for inner products of length k in any order,
    |fl(XY) - XY| <= k u |X| |Y|, whose norm is at most k u ||X|| ||Y||:
        A = X X^T:             dA  = k u ||X||^2
        A A:                   dAA = m u ||A||^2 + 2 |A|_2 dA + dA^2
        M = b A + c A A:       dM  = |b| dA + |c| dAA + 3 u (|b| ||A|| + |c| ||AA||)
        a X + M X, (a + M) X:  (m + 3) u (a + ||M||) ||X|| + |X|_2 dM
    for X of m <= k. The norms are those of the exact matrices; those computed differ by less than 2 % (asserted), and
    products of four of them by less than 10 %."""
    norm = u.norm()
    x = u / maximum(norm, 1e-7)
    value, error = x.value, np.sqrt(np.sum(x.error ** 2))
    if norm.value == 0:
        return Rounded(value), 0.0
    wide = value.T if value.shape[0] > value.shape[1] else value
    m, k = wide.shape
    size = np.linalg.norm
    for _ in range(steps):
        singular_values = np.linalg.svd(wide, compute_uv=False)
        a = wide @ wide.T
        aa = a @ a
        both = B * a + C * aa
        d_a = k * U * size(wide) ** 2
        d_aa = m * U * size(a) ** 2 + 2 * size(a, 2) * d_a + d_a ** 2
        d_both = -B * d_a + C * d_aa + 3 * U * (-B * size(a) + C * size(aa))
        own = (m + 3) * U * (A + size(both)) * size(wide) + singular_values[0] * d_both
        assert error < 0.02 * singular_values[0]
        error = growth(singular_values, error) + 1.1 * own
        wide = A * wide + both @ wide
    return Rounded(wide.T if value.shape[0] > value.shape[1] else wide), error


def muon(o, s, x, g):
    if o["rule"] == "adamw":
        return adamw(o, s, x, g)
    mu, shape = o["momentum"], s["shape"]
    b = average(s, "B", mu, x, g)
    u = (1 - mu) * g + mu * b if o["nesterov"] else b
    direction, error = orthogonalised(Rounded(u.value.reshape(shape), u.error.reshape(shape)), o["ns_steps"])
    rate = o["lr"] * math.sqrt(max(1, shape[0] / shape[1]))
    keep = 1 - o["lr"] * o["weight_decay"]
    s["norm_error"] = abs(keep) * s.get("norm_error", 0.0) + 1.001 * rate * error
    return keep * x - rate * Rounded(direction.value.reshape(-1))


# ---- Schedule-Free ----

def schedule_free(o, s, x, n, a, momentum):
    k = s["t"] - 1
    s["amax"] = max(s.get("amax", 0.0), a)
    w = (k + 1) ** o["r"] * s["amax"] ** o["weight_lr_power"]
    s["W"] = s.get("W", 0.0) + w
    c = w / s["W"] if s["W"] else 0.0
    n = n + o["weight_decay"] * x if o["weight_decay"] else n
    z = s.setdefault("z", x)
    s["z"] = z - a * n
    return (1 - c) * x + c * z + (a * (momentum * (1 - c) - 1)) * n


def warm_rate(o, s):
    warmup = o["warmup_steps"]
    return o["lr"] * (s["t"] / warmup if s["t"] - 1 < warmup else 1)


def schedule_free_adamw(o, s, x, g):
    b1, b2 = o["betas"]
    v = average(s, "v", b2, x, g * g)
    a = warm_rate(o, s) * math.sqrt(1 - b2 ** s["t"])
    return schedule_free(o, s, x, g / (v.sqrt() + o["eps"]), a, b1)


def schedule_free_sgd(o, s, x, g):
    return schedule_free(o, s, x, g, warm_rate(o, s), o["momentum"])


def evaluation(o, s, x):
    """The weights for use; None where they are those of training."""
    if "z" not in s:
        return x
    momentum = o["betas"][0] if "betas" in o else o["momentum"]
    return x + (1 - 1 / momentum) * (s["z"] - x)


ALL = {f.__name__: f for f in (sgd, lion, adam, adamw, lamb, adamax, nadam, radam, adagrad, rmsprop, adadelta, muon,
                               schedule_free_adamw, schedule_free_sgd)}
HAS_EVALUATION = ("schedule_free_adamw", "schedule_free_sgd")
