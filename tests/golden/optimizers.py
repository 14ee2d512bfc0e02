#!/usr/bin/python3
"""Makes the golden trajectories of the optimizers, NAME.golden in this folder: `python3 optimizers.py`. Needs numpy and
torch 1.13 (Debian 12: python3-numpy, python3-torch), which neither the build nor the tests do.

formulas.py has each update once, in float64, from the specification; rounded.py carries along with every value a bound
on what float32 arithmetic may differ by, and derives it; settings.py lists what is run. This script runs them and
checks itself before it writes:
 1. Where torch.optim computes the same it runs beside in float64, else another way of writing the algorithm if there is
    one, and every parameter agrees to 1e-12 at every step. oracles.py says where torch computes something else.
 2. The specification's own numbers come out.
 3. The bounds say something: see USELESS.

Each setting has two groups, whose lr changes at steps 9 and 15, and the parameters of PARAMETERS for 20 steps. First
values and gradients are the hash of noise(), as in tests/optim/helpers.c, so the files need not hold them.

File, little-endian: "TREADGLD", u32 version 1, u32 settings; a setting: u32 groups, each its spec (u32 length, bytes),
u32 parameters, each (u32 group, u32 rank, u32 sizes); u32 steps; f64 lr[steps][groups]; u8 gradient[steps][parameters]
(0 none, 1 noise, 2 zeros); u32 snapshots, each (u32 after step, u32 1 if in evaluation mode), and for each parameter
u32 1 if the bound is on the norm of the error, f64 value[n], f32 bound[n] (bound[1] if on the norm)."""
import os
import struct

import numpy as np

import formulas
from oracles import Averaged, oracle_of
from rounded import Rounded
from settings import DEFAULTS, SETTINGS, parse

STEPS, KEPT = 20, (1, 5, 20)
NONE, NOISE, ZEROS = 0, 1, 2
# group, shape, {step: gradient} where it is not noise
PARAMETERS = [
    (0, (1, 1), {4: ZEROS}),
    (0, (1, 7), {4: ZEROS, 5: ZEROS, 13: NONE}),
    (0, (25, 40), {}),
    (1, (1, 1), {2: NONE, 3: NONE, 11: NONE}),
    (1, (7, 1), {t: NONE for t in range(1, 6)}),  # late
    (1, (12, 10), {1: ZEROS, 7: NONE, 8: NONE, 16: ZEROS}),
    (1, (1, 3), {t: NONE for t in range(1, STEPS + 1)}),  # never
]
# A bound is of use if it is a small part of what the steps did: for most elements 1e-3, and for most norms of Muon,
# whose bound is the worst case of five steps that may each triple an error, 1e-2.
USELESS, USELESS_NORM = 1e-3, 1e-2


def noise(parameter, n, step):
    """Multiples of 2^-23 in [-1, 1), the same as in tests/optim/helpers.c."""
    with np.errstate(over="ignore"):
        i = np.arange(n, dtype=np.uint64)
        h = np.uint64(parameter + 1) * np.uint64(0x9e3779b97f4a7c15)
        h = h ^ (i * np.uint64(0xc2b2ae3d27d4eb4f)) ^ (np.uint64(step) * np.uint64(0x165667b19e3779f9))
        h = (h ^ (h >> np.uint64(29))) * np.uint64(0xbf58476d1ce4e5b9)
        h = (h ^ (h >> np.uint64(32))) * np.uint64(0x94d049bb133111eb)
    return (h >> np.uint64(40)).astype(np.float64) / 8388608 - 1


def gradient(parameter, n, step, kind):
    return noise(parameter, n, step) * 0.5 if kind == NOISE else np.zeros(n)


def lr_at(lr, step):
    return lr * (1 if step < 9 else 0.5 if step < 15 else 1.5)


class Parameter:
    """A parameter on its way, and its oracle beside it."""

    def __init__(self, place, name, o):
        group, self.shape, self.kinds = PARAMETERS[place]
        self.group, self.place, self.name, self.o, self.n = group, place, name, o, int(np.prod(self.shape))
        self.start = noise(place, self.n, 77)
        self.x, self.s = Rounded(self.start), {"t": 0, "shape": self.shape}
        self.oracle = oracle_of(name, o, self.start, self.shape)
        self.as_torch, self.s_torch = self.x, {"t": 0}  # nadam's twin

    def kind(self, step):
        return self.kinds.get(step, NOISE)

    def step(self, t):
        kind = self.kind(t)
        if kind == NONE:
            return
        g = gradient(self.place, self.n, t, kind) * (-1 if self.o["maximize"] else 1)
        o = {**self.o, "lr": lr_at(self.o["lr"], t)}
        self.s["t"] += 1
        self.x = formulas.ALL[self.name](o, self.s, self.x, Rounded(g))
        if self.oracle is None:
            return
        self.oracle.step(o["lr"], g)
        mine = self.x
        if self.name == "nadam":
            self.s_torch["t"] += 1
            mine = self.as_torch = formulas.nadam(o, self.s_torch, self.as_torch, Rounded(g), as_torch_1_13=True)
        assert np.allclose(mine.value, np.asarray(self.oracle.y), rtol=1e-12, atol=1e-15), (self.name, self.o, t)

    def snapshot(self, evaluating):
        """Value, bound, and whether that is one on the norm; also the bound as a part of the change."""
        x = formulas.evaluation(self.o, self.s, self.x) if evaluating else self.x
        if evaluating and isinstance(self.oracle, Averaged):
            assert np.allclose(x.value, self.oracle.x, rtol=1e-12, atol=1e-15)
        change = np.abs(x.value - self.start)
        moved = change > 0
        assert self.s["t"] > 0 or not (moved.any() or x.error.any())
        if "norm_error" in self.s:  # at least one step
            bound = np.array([self.s["norm_error"] + np.linalg.norm(x.error)])
            return x.value, bound, True, bound / np.linalg.norm(change)
        return x.value, x.error, False, x.error[moved] / change[moved]


def rank_of(name, o, shape):
    """Matrices where the algorithm is one of matrices, and one of the others, to have both."""
    return 2 if o.get("rule") == "muon" or shape == (25, 40) else 1


def text(s):
    return struct.pack("<I", len(s)) + s.encode()


def run_setting(name, specs):
    """The setting's bytes; its bounds as parts of the change, elementwise and normwise; whether an oracle saw it."""
    first = parse(specs[0].partition(":")[2], DEFAULTS[name])
    options = [first, parse(specs[1], first)]
    parameters = [Parameter(i, name, options[p[0]]) for i, p in enumerate(PARAMETERS)]
    out = struct.pack("<I", 2) + text(specs[0]) + text(specs[1]) + struct.pack("<I", len(parameters))
    for p in parameters:
        shape = p.shape if rank_of(name, p.o, p.shape) == 2 else (p.n,)
        out += struct.pack("<II", p.group, len(shape)) + struct.pack("<%dI" % len(shape), *shape)
    out += struct.pack("<I", STEPS)
    steps = range(1, STEPS + 1)
    out += b"".join(struct.pack("<2d", *(lr_at(o["lr"], t) for o in options)) for t in steps)
    out += bytes(p.kind(t) for t in steps for p in parameters)
    kept = [(t, 0) for t in KEPT] + ([(STEPS, 1)] if name in formulas.HAS_EVALUATION else [])
    parts = {False: [], True: []}
    out += struct.pack("<I", len(kept))
    now = 0
    for at, evaluating in kept:
        while now < at:
            now += 1
            for p in parameters:
                p.step(now)
        out += struct.pack("<II", at, evaluating)
        for p in parameters:
            value, bound, normwise, part = p.snapshot(evaluating)
            bound = np.nextafter(bound.astype("<f4"), np.float32(np.inf)) if bound.any() else bound.astype("<f4")
            out += struct.pack("<I", normwise) + value.astype("<f8").tobytes() + bound.astype("<f4").tobytes()
            parts[normwise] += [part] if part.size else []
    return out, parts, [p.oracle is not None for p in parameters]


def check_specified_numbers():
    """The specification, section 7."""
    table = {
        "sgd:lr=0.1,momentum=0.9,weight_decay=0.01": (
            0.670361906845, -1.711511367669, 2.739568206989, 0.505719281441, 0.038721907535, -0.935240469758),
        "adam:lr=0.01": (
            0.951491693174, -1.950000002500, 2.955985393101, 0.514349449456, 0.209474514455, -0.794933754559),
        "adamw:lr=0.01,weight_decay=0.1": (
            0.946599304274, -1.940119882555, 2.941108907413, 0.511809895603, 0.208321216928, -0.791098831431),
        "adagrad:lr=0.1,eps=1e-3": (
            0.595931665868, -1.679003793682, 2.790230628213, 0.569558336320, 0.094396140549, -1.148349117654),
        "rmsprop:lr=0.01,weight_decay=0.1,centered=true,momentum=0.9": (
            -0.089023442196, -1.059139831965, 2.152887486970, 0.084054791919, -0.384065457897, -0.929752968084),
        "lamb:lr=0.01,weight_decay=0.1": (
            0.884431480924, -1.870290221218, 2.872898774881, 0.522944103649, 0.223163516205, -0.777185391525),
    }
    for spec, expected in table.items():
        name, _, rest = spec.partition(":")
        o, got = parse(rest, DEFAULTS[name]), []
        for start, g_of in ((np.array([1, -2, 3, 0.5]), lambda t: [0.1 * t, -0.2, 0.3 / t, 0.05 * (-1) ** t]),
                            (np.array([0.25, -0.75]), lambda t: [0.4 - 0.1 * t, 0.02 * t * t])):
            x, s = Rounded(start), {}
            for t in range(1, 6):
                s["t"] = t
                x = formulas.ALL[name](o, s, x, Rounded(np.array(g_of(t))))
            got += list(x.value)
        assert np.allclose(got, expected, rtol=0, atol=1e-12), spec


def main():
    check_specified_numbers()
    folder, total = os.path.dirname(os.path.abspath(__file__)), 0
    for name, settings in SETTINGS.items():
        assert len(settings) >= 6
        out, parts, seen = b"TREADGLD" + struct.pack("<II", 1, len(settings)), {False: [], True: []}, []
        for specs in settings:
            data, of_setting, oracles = run_setting(name, specs)
            out, seen = out + data, seen + oracles
            for normwise, limit in ((False, USELESS), (True, USELESS_NORM)):
                if of_setting[normwise]:
                    all_parts = np.concatenate(of_setting[normwise])
                    assert np.median(all_parts) < limit, (specs, np.median(all_parts))
                    parts[normwise].append(all_parts)
        with open(os.path.join(folder, name + ".golden"), "wb") as file:
            file.write(out)
        total += len(out)
        said = "; ".join("%s: median %.1e, 99 %% %.1e, largest %.1e" % (("bound / change", "of norms")[k], np.median(p),
                                                                      np.quantile(p, 0.99), p.max())
                         for k, p in ((k, np.concatenate(v)) for k, v in parts.items() if v))
        print("%-20s %d settings, oracle for %3.0f %%; %s" % (name, len(settings), 100 * np.mean(seen), said))
    print("%.1f MB" % (total / 1e6))


if __name__ == "__main__":
    main()
