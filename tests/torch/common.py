"""Named cases computed by PyTorch in double, printed as one JSON object at the end."""
import atexit
import json
import warnings

import torch

warnings.simplefilter("ignore")  # of its own ways
torch.manual_seed(1)
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

cases = {}
atexit.register(lambda: print(json.dumps(cases)))


def plain(value):
    if isinstance(value, torch.Tensor):
        return value.detach().tolist()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def case(name, **values):
    """One case: anything made of tensors, numbers, lists and dicts."""
    assert name not in cases, name
    cases[name] = plain(values)


def leaf(*shape):
    """Normal numbers, as a float32 holds them, that collect their gradient."""
    return torch.randn(shape).float().double().requires_grad_()


def weights(module):
    """The parameters and buffers of a module by name, rounded to what a float32 holds."""
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(p.float().double())
    return {k: v.clone() for k, v in module.state_dict().items()}


def grads(module):
    """The gradients of a module's parameters by name."""
    return {k: p.grad.clone() for k, p in module.named_parameters()}
