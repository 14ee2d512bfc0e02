"""Other ways to the same numbers, which run beside formulas.py in float64: torch.optim where it computes the same, else
the algorithm written otherwise. An oracle has y, the parameter, and step(lr, g).

torch 1.13 computes something else in
 - SGD with momentum in the velocity convention: torch has lr outside of its momentum_buffer, and leaves the first step
   undamped;
 - Adam, AdamW and LAMB without bias correction: torch always corrects;
 - LAMB: torch has none. What it divides by the norm is Adam's direction, which torch's Adam gives from a parameter of
   zeros;
 - Lion, Muon, Schedule-Free: torch has none; they are written again from their papers, Muon by singular values;
 - NAdam: mu_t stands twice in the product that divides the second term (a bug, corrected later). nadam() with that
   factor put in must equal torch, so that everything but the factor is checked;
 - Adagrad with eps inside the root: torch adds it to the root. Inside it is part of what the sum starts at, with
   torch's eps 0;
 - RMSprop with eps inside the root, or with momentum in the velocity convention: torch adds eps to the root and has lr
   outside. (Its centered variance is not kept from going below 0; here none does.)

Not differences: amsgrad takes the largest uncorrected v in both; a parameter without a gradient is not counted in both
(torch 1.13 counts the steps of each parameter); AdamW's decay before or after the step is the same in exact numbers."""
import numpy as np
import torch

import formulas

torch.set_default_dtype(torch.float64)  # NAdam's running product would be a float32 otherwise


def torch_of(name, o):
    """A torch optimizer's class and arguments that compute the same, or None."""
    t, base = torch.optim, {"lr": o["lr"], "weight_decay": o["weight_decay"]}
    moments = {**base, "betas": o.get("betas"), "eps": o.get("eps")}
    if name == "sgd" and (o["momentum"] == 0 or o["convention"] == "pytorch"):
        return t.SGD, {**base, **{k: o[k] for k in ("momentum", "dampening", "nesterov")}}
    if name in ("adam", "adamw") and o["do_bias_correction"]:
        return (t.Adam if name == "adam" else t.AdamW), {**moments, "amsgrad": o["amsgrad"]}
    if name == "muon" and o["rule"] == "adamw":
        return t.AdamW, moments
    if name == "adamax":
        return t.Adamax, moments
    if name == "nadam":
        return t.NAdam, {**moments, "momentum_decay": o["momentum_decay"]}
    if name == "radam":
        return t.RAdam, moments
    if name == "adagrad":
        inside, start = o["eps_placement"] == "inside", o["initial_accumulator_value"]
        return t.Adagrad, {**base, "lr_decay": o["lr_decay"], "eps": 0 if inside else o["eps"],
                           "initial_accumulator_value": start + o["eps"] if inside else start}
    if name == "rmsprop" and o["eps_placement"] == "outside" and (o["convention"] == "pytorch" or o["momentum"] == 0):
        return t.RMSprop, {**base, **{k: o[k] for k in ("alpha", "eps", "momentum", "centered")}}
    if name == "adadelta":
        return t.Adadelta, {**base, "rho": o["rho"], "eps": o["eps"]}
    return None


class Torch:
    def __init__(self, start, made):
        self.y = torch.tensor(start)
        self.optimizer = made[0]([self.y], **made[1])

    def step(self, lr, g):
        self.optimizer.param_groups[0]["lr"] = lr
        self.y.grad = torch.tensor(g)
        self.optimizer.step()


class Lamb:
    def __init__(self, start, o):
        self.o, self.y = o, start.copy()
        moments = {k: o[k] for k in ("betas", "eps", "amsgrad")}
        self.adam = Torch(np.zeros_like(start), (torch.optim.Adam, moments))

    def step(self, lr, g):
        decay = self.o["weight_decay"] * self.y
        self.adam.y.zero_()
        self.adam.step(1.0, g if self.o["adam_w_mode"] else g + decay)
        u = -self.adam.y.numpy() + (decay if self.o["decay_in_trust_ratio"] else 0)
        ratio = np.linalg.norm(self.y) / np.linalg.norm(u) if u.any() and self.y.any() else 1
        outside = self.o["adam_w_mode"] and not self.o["decay_in_trust_ratio"]
        self.y = self.y - lr * ratio * (u + (decay if outside else 0))


class Lion:
    """As its paper writes it: update = sign(...), then x - lr (update + wd x)."""

    def __init__(self, start, o):
        self.o, self.y, self.m = o, start.copy(), np.zeros_like(start)

    def step(self, lr, g):
        b1, b2 = self.o["betas"]
        update = np.sign(self.m + (1 - b1) * (g - self.m))
        self.m = self.m + (1 - b2) * (g - self.m)
        self.y = self.y - lr * (update + self.o["weight_decay"] * self.y)


class Muon:
    """The Newton-Schulz steps on the singular values alone."""

    def __init__(self, start, o, shape):
        self.o, self.shape, self.y, self.b = o, shape, start.copy(), np.zeros_like(start)

    def step(self, lr, g):
        mu = self.o["momentum"]
        self.b = self.b + (1 - mu) * (g - self.b)
        direction = (g + mu * (self.b - g) if self.o["nesterov"] else self.b).reshape(self.shape)
        u, s, v = np.linalg.svd(direction, full_matrices=False)
        s = s / max(np.sqrt(np.sum(s ** 2)), 1e-7)
        for _ in range(self.o["ns_steps"]):
            s = s * (3.4445 + s ** 2 * (-4.7750 + 2.0315 * s ** 2))
        rows, columns = self.shape
        direction = max(1, rows / columns) ** 0.5 * ((u * s) @ v).reshape(-1)
        self.y = self.y - lr * (self.o["weight_decay"] * self.y + direction)


class Averaged:
    """Schedule-Free as its paper writes it: y between z and the average x, which our formulas never form."""

    def __init__(self, start, o):
        self.o, self.x, self.z, self.y = o, start.copy(), start.copy(), start.copy()
        self.s = {"t": 0, "W": 0.0, "a": 0.0, "v": 0.0}

    def step(self, lr, g):
        o, s = self.o, self.s
        s["t"] += 1
        a, momentum, direction = lr * min(1, s["t"] / max(o["warmup_steps"], 1)), o.get("momentum"), g
        if "betas" in o:
            momentum, b2 = o["betas"]
            s["v"] = b2 * s["v"] + (1 - b2) * g * g
            a *= np.sqrt(1 - b2 ** s["t"])
            direction = g / (np.sqrt(s["v"]) + o["eps"])
        self.z = self.z - a * (direction + o["weight_decay"] * self.y)
        s["a"] = max(s["a"], a)
        w = s["t"] ** o["r"] * s["a"] ** o["weight_lr_power"]
        s["W"] += w
        self.x = self.x + w / s["W"] * (self.z - self.x)
        self.y = (1 - momentum) * self.z + momentum * self.x


def oracle_of(name, o, start, shape):
    """None where neither torch nor a second way of writing helps."""
    made = torch_of(name, o)
    if made is not None:
        return Torch(start, made)
    if name == "lamb" and o["do_bias_correction"]:
        return Lamb(start, o)
    if name == "lion":
        return Lion(start, o)
    if name == "muon":
        return Muon(start, o, shape)
    return Averaged(start, o) if name in formulas.HAS_EVALUATION else None
