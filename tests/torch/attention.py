"""Multi-head attention and the transformer's block: masks, causal, cross, gradients."""
import torch
import torch.nn as nn
from common import case, grads, leaf, weights


def random_biases(net):
    with torch.no_grad():
        for name, p in net.named_parameters():
            if "bias" in name or "norm" in name:
                p.uniform_(-1, 1)


def causal_mask(time):
    return torch.ones(time, time).tril()


def attention(name, e, heads, batch, time, bias=True, causal=False, keys=None, mask=None,
              padding=None):
    net = nn.MultiheadAttention(e, heads, bias=bias, batch_first=True)
    random_biases(net)
    w, x = weights(net), leaf(batch, time, e)
    context = leaf(batch, keys, e) if keys else None
    other = context if keys else x
    seen = causal_mask(time) if causal else mask
    y, _ = net(x, other, other, attn_mask=(seen == 0) if seen is not None else None,
               key_padding_mask=(padding == 0) if padding is not None else None)
    y.pow(3).sum().backward()
    given = mask if mask is not None else padding
    if mask is not None and padding is not None:
        given = mask.unsqueeze(0) * padding.unsqueeze(1)
    case("attention " + name, kind="attention",
         options=dict(heads=heads, causal=causal, bias=bias), x=x, context=context,
         mask=given, y=y, weights=w, grads=grads(net), dx=x.grad,
         dcontext=context.grad if keys else None)


attention("alone", 6, 3, 2, 5)
attention("of one head", 4, 1, 3, 2, bias=False)
attention("causal", 8, 2, 2, 6, causal=True)
attention("of long sequences", 6, 2, 1, 150, causal=True)
attention("to a context", 6, 2, 3, 4, keys=7)
lower = causal_mask(5)
lower[3, 1] = 0
attention("with a mask {time, keys}", 6, 3, 2, 5, mask=lower)
pad = torch.ones(3, 5)
pad[0, 3:] = 0
pad[2, 1:] = 0
attention("with padding {batch, keys}", 6, 3, 3, 5, padding=pad)
attention("with both", 6, 3, 3, 5, mask=lower, padding=pad)
far = torch.ones(2, 9)
far[1, 4:] = 0
attention("to a context with padding", 4, 2, 2, 3, keys=9, padding=far)


def block(name, e, heads, hidden, batch, time, act="relu", norm_first=True, causal=False,
          padding=None):
    net = nn.TransformerEncoderLayer(e, heads, hidden, dropout=0.0, activation=act,
                                     norm_first=norm_first, batch_first=True)
    random_biases(net)
    w, x = weights(net), leaf(batch, time, e)
    y = net(x, src_mask=(causal_mask(time) == 0) if causal else None,
            src_key_padding_mask=(padding == 0) if padding is not None else None)
    y.pow(3).sum().backward()
    case("transformer_block " + name, kind="transformer_block",
         options=dict(heads=heads, hidden=hidden, act=act, norm_first=norm_first,
                      causal=causal),
         x=x, mask=padding, y=y, weights=w, grads=grads(net), dx=x.grad)


block("with norms first", 6, 2, 10, 2, 5)
block("with norms last", 6, 3, 8, 2, 4, norm_first=False)
block("with gelu, causal", 8, 4, 12, 3, 6, act="gelu", causal=True)
block("with padding", 6, 2, 7, 3, 5, padding=pad)
