"""Every optimizer over 20 steps, with its options, on a loss that is no parabola."""
import functools

import torch
from common import case, leaf

STEPS = 20
A = torch.randn(5, 3).float().double()
START = [leaf(2, 3).detach(), leaf(3).detach()]


def loss_of(w, b):
    """Not convex, other slopes in each direction, and b only now and then."""
    return ((w @ A.t()).tanh() - 0.5).square().sum() + (b * A[0]).sin().sum() \
        + 0.1 * (w * b).square().sum()


class Lion(torch.optim.Optimizer):  # Chen et al., 2023, program 1
    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            (b1, b2), lr = group["betas"], group["lr"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                c = b1 * m + (1 - b1) * p.grad
                p -= lr * (c.sign() + group["weight_decay"] * p)
                m.mul_(b2).add_(p.grad, alpha=1 - b2)


def path(make, clip=None, schedule=None):
    """The weights after each of the steps."""
    params = [p.clone().requires_grad_() for p in START]
    optimizer, seen = make(params), []
    scheduler = schedule and schedule(optimizer)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss_of(*params).backward()
        if clip:
            clip(params)
        optimizer.step()
        if scheduler:
            scheduler.step()
        seen.append([p.detach().clone() for p in params])
    return seen


def compare(rule, make, options, clip=None, name=None, **more):
    text = name or " ".join(f"{k}={v}" for k, v in sorted(options.items()))
    case(f"{rule} {text}".strip(), rule=rule, options=options, a=A, start=START,
         path=path(make, clip), **more)


# our option -> theirs; the others have the same name
RENAMED = {"initial_accumulator": "initial_accumulator_value"}
PAIRS = {"betas": ("beta1", "beta2"), "etas": ("eta_minus", "eta_plus"),
         "step_sizes": ("step_min", "step_max")}
DEFAULTS = {"betas": (0.9, 0.999), "etas": (0.5, 1.2), "step_sizes": (1e-6, 50)}


def theirs(options, defaults):
    out = {RENAMED.get(k, k): v for k, v in options.items()}
    for pair, names in PAIRS.items():
        if any(n in out for n in names):
            out[pair] = tuple(out.pop(n, d) for n, d in zip(names, defaults[pair]))
    return out


RULES = {
    "sgd": (torch.optim.SGD, [
        {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"weight_decay": 0.1},
        {"momentum": 0.8, "dampening": 0.4}, {"momentum": 0.9, "weight_decay": 0.05,
                                              "nesterov": True}]),
    "adam": (torch.optim.Adam, [
        {}, {"beta1": 0.5}, {"beta2": 0.9}, {"eps": 0.01}, {"weight_decay": 0.1},
        {"amsgrad": True}, {"amsgrad": True, "beta2": 0.5, "weight_decay": 0.1}]),
    "adamw": (torch.optim.AdamW, [
        {}, {"weight_decay": 0.3}, {"weight_decay": 0}, {"amsgrad": True, "beta2": 0.5}]),
    # its other implementation in 1.13 counts one factor twice
    "nadam": (functools.partial(torch.optim.NAdam, foreach=True), [
        {}, {"beta1": 0.7, "beta2": 0.95}, {"eps": 0.01}, {"weight_decay": 0.1},
        {"momentum_decay": 0.5}, {"momentum_decay": 0}, {"momentum_decay": 100}]),
    "adamax": (torch.optim.Adamax, [
        {}, {"beta1": 0.5, "beta2": 0.9}, {"eps": 0.01}, {"weight_decay": 0.1}]),
    "lion": (Lion, [{}, {"beta1": 0.5, "beta2": 0.9}, {"weight_decay": 0.3}]),
    "rmsprop": (torch.optim.RMSprop, [
        {}, {"alpha": 0.9}, {"eps": 0.01}, {"weight_decay": 0.1}, {"momentum": 0.8},
        {"centered": True}, {"centered": True, "momentum": 0.5, "alpha": 0.9}]),
    "adagrad": (torch.optim.Adagrad, [
        {}, {"lr_decay": 0.1}, {"eps": 0.1}, {"weight_decay": 0.1},
        {"initial_accumulator": 0.5}]),
    "adadelta": (torch.optim.Adadelta, [
        {}, {"rho": 0.5}, {"eps": 0.01}, {"weight_decay": 0.1}]),
    "rprop": (torch.optim.Rprop, [
        {}, {"eta_minus": 0.3}, {"eta_plus": 1.7}, {"step_min": 0.02}, {"step_max": 0.03}]),
}
for rule, (optimizer, options) in RULES.items():
    pairs = {**DEFAULTS, "betas": (0.9, 0.99)} if rule == "lion" else DEFAULTS
    for some in options:
        ours = {**some, "lr": 0.05}
        compare(rule, lambda p: optimizer(p, **theirs(ours, pairs)), ours)
    if rule != "sgd":  # whose rate has no default
        compare(rule, optimizer, {}, name="as it is")

# options of every optimizer
for rule in "sgd", "adam", "rprop":
    make = lambda p: RULES[rule][0](p, lr=0.05)
    compare(rule, make, {"lr": 0.05, "clip_norm": 0.5},
            lambda p: torch.nn.utils.clip_grad_norm_(p, 0.5))
    compare(rule, make, {"lr": 0.05, "clip_value": 0.2},
            lambda p: torch.nn.utils.clip_grad_value_(p, 0.2))


def penalty(l1, l2):
    def clip(params):
        for p in params:
            p.grad += l2 * p.detach() + l1 * p.detach().sign()
    return clip


compare("adam", lambda p: torch.optim.Adam(p, lr=0.05), {"lr": 0.05, "l1": 0.1, "l2": 0.3},
        penalty(0.1, 0.3))


# groups, and the average of the weights
def grouped(params):
    w, b = params
    return torch.optim.AdamW([{"params": [w], "weight_decay": 0.2},
                              {"params": [b], "lr": 0.01, "betas": (0.5, 0.9)}], lr=0.05)


case("groups", rule="adamw", a=A, start=START, path=path(grouped),
     options={"lr": 0.05, "weight_decay": 0.2,
              "groups": [{"match": "^2$", "lr": 0.01, "beta1": 0.5, "beta2": 0.9,
                          "weight_decay": 0.01}]})


def averages():
    """Of the two parameters together, after each step."""
    both = torch.nn.ParameterList([torch.nn.Parameter(p.clone()) for p in START])
    average = torch.optim.swa_utils.AveragedModel(
        both, avg_fn=lambda old, new, n: 0.8 * old + 0.2 * new)
    optimizer, seen = torch.optim.Adam(both, lr=0.05), []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss_of(*both).backward()
        optimizer.step()
        average.update_parameters(both)
        seen.append([p.detach().clone() for p in average.module])
    return seen


case("ema", rule="adam", a=A, start=START, path=averages(), averaged=True,
     options={"lr": 0.05, "ema": 0.8})


# lbfgs: loss and weights after each step; the losses are small integers' sums
def minimise(name, f, start, steps, **options):
    w = torch.tensor(start).requires_grad_()
    theirs = {{"history": "history_size"}.get(k, k): v for k, v in options.items()}
    optimizer = torch.optim.LBFGS([w], line_search_fn="strong_wolfe",
                                  **{"history_size": 10, **theirs})
    evaluations, losses, seen = [0], [], []

    def closure():
        optimizer.zero_grad()
        loss = f(w)
        loss.backward()
        evaluations[0] += 1
        return loss

    for _ in range(steps):
        losses.append(optimizer.step(closure).item())
        seen.append(w.detach().clone())
    case(f"lbfgs {name}", minimise=name.split()[0], start=start, options=options,
         losses=losses, path=seen, evaluations=evaluations[0])


def rosenbrock(w):
    return (1 - w[:-1]).square().sum() + 10 * (w[1:] - w[:-1].square()).square().sum()


def bent(w):
    return (w.exp() - w * torch.arange(1., 1 + len(w))).sum() + 0.1 * w.square().sum()


for options in {"max_iter": 1}, {"max_iter": 3, "history": 2}, {"max_iter": 2, "lr": 0.5}, \
        {"max_iter": 4, "max_eval": 3}:
    text = " ".join(f"{k}={v}" for k, v in options.items())
    minimise(f"rosenbrock {text}", rosenbrock, [-0.5, 0.5, 1.5], 6, **options)
    minimise(f"bent {text}", bent, [-1.0, 0.5, 3.0, 0.0], 3, **options)
minimise("rosenbrock from afar", rosenbrock, [-3.0, 4.0], 5, max_iter=2)
minimise("rosenbrock to the end", rosenbrock, [-0.5, 0.5], 1, max_iter=50)


# schedules: the rate of each step, from a scheduler that is stepped after each
def rates(name, rate, steps, make, options, loss=None):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    scheduler, seen = make(optimizer), []
    for k in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(*([] if loss is None else [loss[k]]))
    text = " ".join(f"{k}={v}" for k, v in options.items())
    case(f"schedule {name} {text}", schedule=name, options={"lr": rate, **options},
         rates=seen, loss=loss)


S = torch.optim.lr_scheduler
rates("step", 0.5, 12, lambda o: S.StepLR(o, 3, 0.7), {"step_size": 3, "gamma": 0.7})
rates("step", 0.5, 12, lambda o: S.StepLR(o, 5), {"step_size": 5})
rates("exponential", 0.5, 12, lambda o: S.ExponentialLR(o, 0.8), {"gamma": 0.8})
rates("cosine", 0.5, 11, lambda o: S.CosineAnnealingLR(o, 10), {"steps": 10})
rates("cosine", 0.5, 8, lambda o: S.CosineAnnealingLR(o, 9, 0.1),
      {"steps": 9, "min_lr": 0.1})
rates("linear_warmup", 0.5, 12, lambda o: S.LinearLR(o), {})
rates("linear_warmup", 0.5, 12, lambda o: S.LinearLR(o, 0.01, total_iters=8),
      {"steps": 8, "start_factor": 0.01})
for options in {}, {"pct_start": 0.5}, {"anneal": "linear"}, {"three_phase": True}, \
        {"div_factor": 5, "final_div_factor": 10, "anneal": "linear", "three_phase": True}:
    theirs = {{"anneal": "anneal_strategy"}.get(k, k): v for k, v in options.items()}
    rates("one_cycle", 0.5, 20, lambda o: S.OneCycleLR(
        o, 0.5, 21, cycle_momentum=False, **theirs), {"steps": 21, **options})
LOSSES = [3, 2, 1.9, 1.95, 1.9, 1.8999, 1.85, 1.9, 1.9, 1.9, 1.7, 1.7, 1.7, 1.7, 1.7, 1.7,
          1.7, 1.7, 1.2, 1.3, 1.3, 1.3, 1.3, 1.3, 1.3, 1.3, 1.3, 1.3, 1.3, 1.3, 1.3, 1.3]
for options in {"patience": 2}, {}, {"patience": 0, "factor": 0.5}, \
        {"patience": 1, "threshold": 0.1}, {"patience": 1, "cooldown": 2, "min_lr": 0.02}, \
        {"patience": 1, "threshold": 0.06, "threshold_mode": "abs"}, \
        {"patience": 3, "mode": "max"}, {"patience": 1, "eps": 0.01}:
    rates("plateau", 0.5, len(LOSSES), lambda o: S.ReduceLROnPlateau(o, **options), options,
          LOSSES)
