"""Normalisation: outputs, gradients, running statistics over three batches, eval mode."""
import torch
import torch.nn as nn
from common import case, grads, leaf, weights


def compare(name, layer, module, *shape):
    """Two batches in training, then a backward of the third, then one in eval mode."""
    with torch.no_grad():
        for p in module.parameters():
            p.uniform_(-1, 1)
    state, batches = weights(module), []
    for i in range(3):
        x = (leaf(*shape) * 2 + 3).detach().float().double().requires_grad_()
        y = module(x)
        batches.append(dict(x=x, y=y))
    y.pow(3).sum().backward()
    after = {k: v.clone() for k, v in module.state_dict().items()}
    dx, dw = x.grad.clone(), grads(module)
    module.eval()
    module.zero_grad()
    x.grad = None
    z = module(x)
    z.pow(3).sum().backward()
    case(name, layer=layer, size=shape[1:], weights=state, batches=batches, dx=dx, grads=dw,
         after=after, eval=dict(y=z, dx=x.grad, grads=grads(module)))


def batch(name, module, *shape, **options):
    compare("batchnorm of " + name, dict(kind="batchnorm", options=options), module, *shape)


batch("{n, c}", nn.BatchNorm1d(3), 5, 3)
batch("many channels", nn.BatchNorm1d(70), 4, 70)
batch("{n, c, l}", nn.BatchNorm1d(4, momentum=0.3), 2, 4, 7, momentum=0.3)
batch("{n, c, h, w}", nn.BatchNorm2d(3, eps=0.01), 2, 3, 4, 5, eps=0.01)
batch("one example", nn.BatchNorm2d(2), 1, 2, 3, 3)
batch("{n, c} without weights", nn.BatchNorm1d(3, affine=False), 6, 3, affine=False)

compare("layernorm", dict(kind="layernorm", options={}), nn.LayerNorm(6), 4, 6)
compare("layernorm of long rows", dict(kind="layernorm", options={}), nn.LayerNorm(300), 2, 300)
compare("layernorm in time", dict(kind="layernorm", options=dict(eps=0.1)),
        nn.LayerNorm(5, eps=0.1), 2, 3, 5)
compare("layernorm of two dimensions", dict(kind="layernorm", options=dict(dims=2)),
        nn.LayerNorm((3, 5)), 2, 3, 5)
compare("layernorm without weights", dict(kind="layernorm", options=dict(affine=False)),
        nn.LayerNorm(5, elementwise_affine=False), 2, 5)

compare("groupnorm", dict(kind="groupnorm", value=2, options={}), nn.GroupNorm(2, 6), 3, 6, 4)
compare("groupnorm of images", dict(kind="groupnorm", value=3, options=dict(eps=0.1)),
        nn.GroupNorm(3, 6, eps=0.1), 2, 6, 3, 5)
compare("groupnorm of {n, c}", dict(kind="groupnorm", value=2, options={}), nn.GroupNorm(2, 8),
        3, 8)
compare("groupnorm of one group", dict(kind="groupnorm", value=1, options={}),
        nn.GroupNorm(1, 4), 3, 4, 20)


class RMSNorm(nn.Module):
    """As later versions of PyTorch have it."""

    def __init__(self, n, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(n)), eps

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


compare("rmsnorm", dict(kind="rmsnorm", options={}), RMSNorm(6, 2.0 ** -23), 4, 6)
compare("rmsnorm in time", dict(kind="rmsnorm", options=dict(eps=0.1)), RMSNorm(5, 0.1), 2, 3, 5)
