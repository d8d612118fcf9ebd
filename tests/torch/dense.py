"""Layers without memory: dense with each activation that PyTorch has under our name."""
import torch.nn as nn
from common import case, grads, leaf, weights

ACTS = {
    "sigmoid": nn.Sigmoid(), "tanh": nn.Tanh(), "relu": nn.ReLU(), "elu": nn.ELU(),
    "selu": nn.SELU(), "gelu": nn.GELU(), "silu": nn.SiLU(), "softplus": nn.Softplus(),
    "softsign": nn.Softsign(), "hardtanh": nn.Hardtanh(), "leaky_relu": nn.LeakyReLU(),
}

for name, act in ACTS.items():
    net = nn.Sequential(nn.Linear(3, 4), act)
    w, x = weights(net), leaf(5, 3)
    y = net(x)
    y.square().sum().backward()
    case(name, x=x, y=y, weights=w, dx=x.grad, grads=grads(net))
