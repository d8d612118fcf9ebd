"""rnn, gru and lstm: layers, directions, initial states, padded sequences of several
lengths; results, final states and all gradients."""
import torch
import torch.nn as nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from common import case, grads, leaf, weights

BATCH, TIME, IN, HIDDEN = 3, 5, 2, 4
KINDS = {"rnn": (nn.RNN, {}), "relu": (nn.RNN, {"nonlinearity": "relu"}),
         "gru": (nn.GRU, {}), "lstm": (nn.LSTM, {})}


def run(net, x, states, lengths):
    """The result, zeros behind the lengths, and the final states as a list."""
    given = x
    if lengths is not None:
        given = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    if isinstance(net, nn.LSTM):
        y, final = net(given, tuple(states) if states else None)
    else:
        y, final = net(given, states[0] if states else None)
        final = (final,)
    if lengths is not None:
        y = pad_packed_sequence(y, batch_first=True, total_length=TIME)[0]
    return y, list(final)


def compare(name, kind, layers, bidirectional, lengths=None, with_states=False):
    make, options = KINDS[kind]
    net = make(IN, HIDDEN, layers, bidirectional=bidirectional, batch_first=True, **options)
    w, x = weights(net), leaf(BATCH, TIME, IN)
    steps = layers * (2 if bidirectional else 1)
    states = []
    if with_states:
        states = [leaf(steps, BATCH, HIDDEN) for _ in range(2 if kind == "lstm" else 1)]
    y, final = run(net, x, states, lengths)
    loss = y.square().sum()
    for k, state in enumerate(final):
        loss = loss + (k + 2) * state.pow(3).sum()
    loss.backward()
    case(name, kind="rnn" if kind == "relu" else kind,
         options={"layers": layers, "bidirectional": bidirectional, **options},
         x=x, states=states, lengths=lengths, y=y, final=final, weights=w,
         names=list(w), dx=x.grad, dstates=[s.grad for s in states], grads=grads(net))


for kind in KINDS:
    compare(kind, kind, 1, False)
    compare(kind + " from given states", kind, 1, False, with_states=True)
    compare(kind + " of two layers, both ways", kind, 2, True, with_states=True)
    compare(kind + " over sequences of several lengths", kind, 1, False, [2, 5, 1])
    compare(kind + " of two layers, both ways, several lengths, given states", kind, 2, True,
            [4, 1, 5], with_states=True)
