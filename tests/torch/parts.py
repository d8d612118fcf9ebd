"""Embeddings, prelu, bilinear, tied weights: results and gradients. Ids count from 1 here."""
import math

import torch
import torch.nn as nn
from common import case, grads, leaf, weights


def embedding(name, n, dim, *shape, **options):
    padding = options.get("padding")
    net = nn.Embedding(n, dim, padding_idx=padding - 1 if padding else None)
    w, ids = weights(net), torch.randint(0, n, shape)
    y = net(ids)
    y.pow(3).sum().backward()
    case("embedding " + name, kind="embedding", args=[n, dim, options], x=ids + 1, y=y,
         weights=w, grads=grads(net))


embedding("of a list", 5, 3, 7)
embedding("of sequences", 4, 2, 3, 6)
embedding("with padding", 4, 3, 2, 9, padding=2)


def plain(name, kind, args, net, *inputs):
    w = weights(net)
    y = net(*inputs)
    y.pow(3).sum().backward()
    case(name, kind=kind, args=args, x=inputs[0], other=inputs[1] if len(inputs) > 1 else None,
         y=y, weights=w, grads=grads(net), dx=[i.grad for i in inputs])


plain("prelu", "prelu", [], nn.PReLU(), leaf(4, 3))
plain("prelu by channels", "prelu", [3], nn.PReLU(3), leaf(2, 3, 4))
plain("prelu by features", "prelu", [3], nn.PReLU(3), leaf(5, 3))
plain("bilinear", "bilinear", [4], nn.Bilinear(3, 2, 4), leaf(5, 3), leaf(5, 2))
plain("bilinear without bias", "bilinear", [2, {"bias": False}],
      nn.Bilinear(3, 5, 2, bias=False), leaf(2, 4, 3), leaf(2, 4, 5))


class Encoding(nn.Module):
    """As PyTorch's tutorial on language models writes it."""

    def forward(self, x):
        time, n = x.shape[-2:]
        position = torch.arange(time).unsqueeze(1)
        div = torch.exp(torch.arange(0, n, 2) * (-math.log(10000.0) / n))
        pe = torch.zeros(time, n)
        pe[:, 0::2] = torch.sin(position * div)
        pe[:, 1::2] = torch.cos(position * div)
        return x + pe


plain("positional_encoding", "positional_encoding", [], Encoding(), leaf(2, 60, 8))
