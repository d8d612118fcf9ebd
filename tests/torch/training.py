"""Short trainings: batches that share an update, frozen layers, class weights."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from common import case, leaf, weights

LABELS = torch.tensor([0, 2, 1, 1, 2, 0, 1])
SIDES = torch.tensor([1.0, 0, 0, 1, 1, 0, 1]).reshape(7, 1)


def train(name, loss, outputs=3, y=LABELS, batches=((0, 7),), accumulate=1, frozen=(),
          class_weight=None):
    """Three passes by adamw; a gradient is the mean over all examples of its batches."""
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, outputs))
    start, x = weights(net), leaf(7, 4).detach()
    for i in frozen:
        net[i].requires_grad_(False)
    opt = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=0.05,
                            weight_decay=0.1)
    for _ in range(3):
        for k in range(0, len(batches), accumulate):
            group = batches[k:k + accumulate]
            total = sum(end - first for first, end in group)
            opt.zero_grad()
            for first, end in group:
                share = (end - first) / total
                (loss(net(x[first:end]), y[first:end]) * share).backward()
            opt.step()
    case(name, x=x, y=y + 1 if y is LABELS else y, start=start, weights=net.state_dict(),
         outputs=outputs, batch=batches[0][1] - batches[0][0], accumulate=accumulate,
         frozen=list(frozen), class_weight=class_weight)


THREES = ((0, 3), (3, 6), (6, 7))
TWOS = ((0, 2), (2, 4), (4, 6), (6, 7))
WEIGHTS = torch.tensor([1.0, 0.25, 3.0])


def sides(p, t):
    return F.binary_cross_entropy_with_logits(p, t, weight=0.5 + 3.5 * t)


train("one batch", F.cross_entropy)
train("two batches an update", F.cross_entropy, batches=TWOS, accumulate=2)
train("all batches an update", F.cross_entropy, batches=THREES, accumulate=3)
train("first layer frozen", F.cross_entropy, batches=THREES, frozen=[0])
train("last layer frozen, shared updates", F.cross_entropy, batches=TWOS, accumulate=3,
      frozen=[2])
train("weights of classes", lambda p, t: F.cross_entropy(p, t, weight=WEIGHTS),
      batches=THREES, class_weight=WEIGHTS)
train("weights of no and yes", sides, outputs=1, y=SIDES, batches=THREES,
      class_weight=torch.tensor([0.5, 4.0]))
