"""The settings of each optimizer that golden files hold: (spec of the optimizer and its first group, what the second
group has otherwise). Between them every boolean takes both values, every choice each, every number one that is not its
default; the C test holds them to that."""

COMMON = {"maximize": False}
ADAM = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, **COMMON}
WARM = {"weight_decay": 0.0, "warmup_steps": 0, "r": 0.0, "weight_lr_power": 2.0, **COMMON}
DEFAULTS = {
    "sgd": {"lr": 1e-3, "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False,
            "convention": "velocity", **COMMON},
    "lion": {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.0, **COMMON},
    "adam": {**ADAM, "amsgrad": False, "do_bias_correction": True},
    "adamw": {**ADAM, "amsgrad": False, "do_bias_correction": True},
    "lamb": {**ADAM, "adam_w_mode": True, "do_bias_correction": True, "amsgrad": False, "decay_in_trust_ratio": False},
    "adamax": {**ADAM, "lr": 2e-3},
    "nadam": {**ADAM, "lr": 2e-3, "momentum_decay": 4e-3},
    "radam": ADAM,
    "adagrad": {"lr": 1e-3, "lr_decay": 0.0, "weight_decay": 0.0, "initial_accumulator_value": 0.0, "eps": 1e-10,
                "eps_placement": "inside", **COMMON},
    "rmsprop": {"lr": 1e-3, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0, "centered": False,
                "eps_placement": "inside", "convention": "velocity", **COMMON},
    "adadelta": {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.0, **COMMON},
    "muon": {"lr": 1e-3, "rule": "muon", "weight_decay": 0.1, "momentum": 0.95, "nesterov": True, "ns_steps": 5,
             "betas": (0.9, 0.999), "eps": 1e-8, **COMMON},
    "schedule_free_adamw": {"lr": 2.5e-3, "betas": (0.9, 0.999), "eps": 1e-8, **WARM},
    "schedule_free_sgd": {"lr": 1.0, "momentum": 0.9, **WARM},
}

SETTINGS = {
    "sgd": [
        ("sgd", "lr=0.05"),
        ("sgd:lr=0.1,weight_decay=0.1", "weight_decay=0,maximize=true"),
        ("sgd:lr=0.1,momentum=0.9,weight_decay=0.01", "momentum=0,lr=0.01"),
        ("sgd:lr=0.05,momentum=0.9,nesterov=true", "nesterov=false,dampening=0.5,weight_decay=0.1"),
        ("sgd:lr=0.02,momentum=0.8,dampening=0.3,maximize=true", "momentum=0.5"),
        ("sgd:lr=0.05,momentum=0.9,convention=pytorch,dampening=0.5,weight_decay=0.1", "momentum=0.5,dampening=0"),
        ("sgd:lr=0.05,momentum=0.9,convention=pytorch,nesterov=true", "lr=0.1,nesterov=false,dampening=0.1"),
        ("sgd:lr=0.1,momentum=0.7", "convention=pytorch"),
    ],
    "lion": [
        ("lion", "lr=1e-3"),
        ("lion:lr=1e-3,weight_decay=0.1", "weight_decay=0.5,betas=0.5/0.75"),
        ("lion:lr=0.01,betas=0.95/0.98", "lr=0.02,maximize=true"),
        ("lion:lr=0.01,betas=0/0.5,maximize=true", "betas=0.5/0"),
        ("lion:lr=3e-3,betas=0.8/0.9,weight_decay=1", "weight_decay=0,betas=0.25/0.125"),
        ("lion:lr=0.05,betas=0.99/0.999,weight_decay=0.01", "lr=1e-4"),
    ],
    "adam": [
        ("adam", "lr=0.01,weight_decay=0.1"),
        ("adam:lr=0.01,betas=0.5/0.75,eps=1e-3,weight_decay=0.1", "betas=0/0.9,maximize=true"),
        ("adam:lr=0.01,amsgrad=true,betas=0.9/0.5", "amsgrad=false,eps=1e-4"),
        ("adam:lr=0.01,do_bias_correction=false,maximize=true", "do_bias_correction=true,weight_decay=0.01"),
        ("adam:lr=3e-3,amsgrad=true,weight_decay=0.05,betas=0.8/0.9", "lr=0.1,do_bias_correction=false"),
        ("adam:lr=0.02,betas=0.95/0.99,eps=1e-6", "betas=0.99/0.9999,amsgrad=true"),
    ],
    "adamw": [
        ("adamw", "lr=0.01,weight_decay=0.1"),
        ("adamw:lr=0.01,betas=0.5/0.75,eps=1e-3,weight_decay=0.1", "betas=0/0.9,maximize=true"),
        ("adamw:lr=0.01,amsgrad=true,betas=0.9/0.5,weight_decay=0.5", "amsgrad=false,eps=1e-4"),
        ("adamw:lr=0.01,do_bias_correction=false,maximize=true", "do_bias_correction=true,weight_decay=0.01"),
        ("adamw:lr=3e-3,amsgrad=true,weight_decay=0.05,betas=0.8/0.9", "lr=0.1,do_bias_correction=false"),
        ("adamw:lr=0.02,betas=0.95/0.99,eps=1e-6,weight_decay=1", "betas=0.99/0.9999,amsgrad=true,weight_decay=0"),
    ],
    "lamb": [
        ("lamb", "lr=0.01,weight_decay=0.1"),
        ("lamb:lr=0.01,betas=0.5/0.75,eps=1e-3,weight_decay=0.1", "betas=0/0.9,maximize=true"),
        ("lamb:lr=0.01,adam_w_mode=false,weight_decay=0.1", "adam_w_mode=true"),
        ("lamb:lr=0.01,decay_in_trust_ratio=true,weight_decay=0.2", "weight_decay=0.01,betas=0.8/0.9"),
        ("lamb:lr=0.02,do_bias_correction=false,maximize=true",
         "do_bias_correction=true,adam_w_mode=false,weight_decay=0.1"),
        ("lamb:lr=0.01,amsgrad=true,betas=0.9/0.5", "amsgrad=false,decay_in_trust_ratio=true,weight_decay=0.5"),
        ("lamb:lr=3e-3,amsgrad=true,adam_w_mode=false,weight_decay=0.05,betas=0.8/0.9",
         "lr=0.1,do_bias_correction=false"),
    ],
    "adamax": [
        ("adamax", "lr=0.02"),
        ("adamax:lr=0.01,betas=0.5/0.75,eps=1e-3", "betas=0/0.9,maximize=true"),
        ("adamax:lr=0.01,weight_decay=0.1", "weight_decay=0.01,eps=0.1"),
        ("adamax:lr=0.05,maximize=true,betas=0.95/0.99", "betas=0.9/0"),
        ("adamax:lr=0.01,betas=0.8/0.9,eps=1e-6", "lr=1e-3,weight_decay=1"),
        ("adamax:lr=3e-3,betas=0.99/0.9999,weight_decay=0.5", "weight_decay=0"),
    ],
    "nadam": [
        ("nadam", "lr=0.02"),
        ("nadam:lr=0.01,betas=0.5/0.75,eps=1e-3", "betas=0/0.9,maximize=true"),
        ("nadam:lr=0.01,weight_decay=0.1", "weight_decay=0.01,eps=0.1"),
        ("nadam:lr=0.05,maximize=true,betas=0.95/0.99,momentum_decay=0.1", "momentum_decay=0"),
        ("nadam:lr=0.01,betas=0.8/0.9,eps=1e-6,momentum_decay=1", "lr=1e-3,weight_decay=1"),
        ("nadam:lr=3e-3,betas=0.99/0.9999,weight_decay=0.5", "weight_decay=0,momentum_decay=0.02"),
    ],
    "radam": [
        ("radam", "lr=0.02"),
        ("radam:lr=0.01,betas=0.5/0.75,eps=1e-3", "betas=0/0.9,maximize=true"),
        ("radam:lr=0.01,weight_decay=0.1", "weight_decay=0.01,eps=0.1"),
        ("radam:lr=0.05,maximize=true,betas=0.95/0.99", "betas=0.9/0.5"),
        ("radam:lr=0.01,betas=0.8/0.9,eps=1e-6", "lr=1e-3,weight_decay=1"),
        ("radam:lr=3e-3,betas=0.99/0.9999,weight_decay=0.5", "weight_decay=0"),
    ],
    "adagrad": [
        ("adagrad", "lr=0.02"),
        ("adagrad:lr=0.1,eps=1e-3", "initial_accumulator_value=0.5"),
        ("adagrad:lr=0.1,lr_decay=0.1,weight_decay=0.1", "lr_decay=0,maximize=true"),
        ("adagrad:lr=0.05,eps_placement=outside,initial_accumulator_value=0.1", "lr_decay=0.5"),
        ("adagrad:lr=0.1,eps_placement=outside,eps=0.01,weight_decay=0.01", "eps_placement=inside"),
        ("adagrad:lr=0.2,initial_accumulator_value=1,maximize=true", "weight_decay=1,eps=0.1"),
    ],
    "rmsprop": [
        ("rmsprop", "lr=0.02"),
        ("rmsprop:lr=0.01,weight_decay=0.1,centered=true,momentum=0.9", "centered=false,alpha=0.5"),
        ("rmsprop:lr=0.01,alpha=0.9,eps=1e-3", "momentum=0.5,maximize=true"),
        ("rmsprop:lr=0.01,eps_placement=outside,convention=pytorch,momentum=0.9", "centered=true,eps=1e-2"),
        ("rmsprop:lr=0.01,eps_placement=outside,weight_decay=0.05,maximize=true", "alpha=0.8,momentum=0.8"),
        ("rmsprop:lr=3e-3,convention=pytorch,momentum=0.5,centered=true,eps=1e-4", "momentum=0,weight_decay=0.5"),
        ("rmsprop:lr=0.01,momentum=0.7", "convention=pytorch,eps_placement=outside"),
    ],
    "adadelta": [
        ("adadelta", "lr=10"),
        ("adadelta:lr=0.5,rho=0.5,eps=1e-3", "rho=0.99,maximize=true"),
        ("adadelta:weight_decay=0.1", "weight_decay=0.01,eps=1e-4"),
        ("adadelta:lr=2,maximize=true,rho=0.95", "maximize=false,weight_decay=1"),
        ("adadelta:lr=0.1,eps=0.1,rho=0", "rho=0.8"),
        ("adadelta:lr=5,rho=0.75,eps=1e-5,weight_decay=0.2", "lr=1,weight_decay=0"),
    ],
    "muon": [
        ("muon", "rule=adamw,lr=0.01"),
        ("muon:lr=0.02,nesterov=false", "nesterov=true,momentum=0.5"),
        ("muon:lr=0.02,weight_decay=0,momentum=0.9", "maximize=true,weight_decay=1"),
        ("muon:lr=0.05,ns_steps=3,maximize=true", "ns_steps=1"),
        ("muon:lr=0.01,rule=adamw,betas=0.8/0.9,eps=1e-4", "rule=muon,momentum=0"),
        ("muon:lr=0.03,momentum=0.6,weight_decay=0.5,ns_steps=2,nesterov=false", "rule=adamw,betas=0.5/0.75,eps=1e-3"),
    ],
    "schedule_free_adamw": [
        ("schedule_free_adamw", "lr=0.02"),
        ("schedule_free_adamw:lr=0.01,betas=0.5/0.75,eps=1e-3", "betas=0.9/0.9,maximize=true"),
        ("schedule_free_adamw:lr=0.01,warmup_steps=10", "warmup_steps=3,weight_decay=0.1"),
        ("schedule_free_adamw:lr=0.01,r=1,weight_decay=0.05", "r=0.5,eps=0.1"),
        ("schedule_free_adamw:lr=0.02,weight_lr_power=1,maximize=true", "weight_lr_power=0"),
        ("schedule_free_adamw:lr=5e-3,betas=0.95/0.99,warmup_steps=5,weight_decay=0.5", "r=2,weight_lr_power=3"),
    ],
    "schedule_free_sgd": [
        ("schedule_free_sgd", "lr=0.1"),
        ("schedule_free_sgd:lr=0.1,momentum=0.5", "momentum=0.95,maximize=true"),
        ("schedule_free_sgd:lr=0.2,warmup_steps=10", "warmup_steps=3,weight_decay=0.1"),
        ("schedule_free_sgd:lr=0.2,r=1,weight_decay=0.05", "r=0.5,weight_decay=0"),
        ("schedule_free_sgd:lr=0.05,weight_lr_power=1,maximize=true", "weight_lr_power=0"),
        ("schedule_free_sgd:lr=0.5,momentum=0.8,warmup_steps=5,weight_decay=0.5", "r=2,weight_lr_power=3"),
    ],
}


def parse(text, options):
    """field=value,... over a copy of options, as the library reads it."""
    options = dict(options)
    for part in filter(None, text.split(",")):
        name, value = part.split("=")
        old = options[name]
        if isinstance(old, bool):
            options[name] = {"true": True, "false": False}[value]
        elif isinstance(old, tuple):
            options[name] = tuple(float(v) for v in value.split("/"))
        elif isinstance(old, str):
            options[name] = value
        else:
            options[name] = type(old)(value)
    return options
