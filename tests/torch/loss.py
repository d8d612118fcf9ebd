"""Every loss with each reduction: values, and gradients of all that has one."""
import warnings

import torch
import torch.nn.functional as F
from common import case, leaf

warnings.simplefilter("ignore")  # of what kl_div's mean will be one day

PLACES = torch.tensor([0.3, 0.7, 1.1, 0.9, 1.6])


def compare(name, loss, operands, f, labels=(), reductions=("mean", "sum", "none"), **options):
    """loss(operands, options) of ours is f(operands, reduction=) of PyTorch's; the result
    is weighed unevenly, so that each value's gradient is its own. 'labels' are the
    positions of operands that are class labels, which we count from 1."""
    for reduction in reductions:
        for x in operands:
            if x is not None:
                x.grad = None
        y = f(*operands, reduction=reduction)
        (y * torch.linspace(0.5, 2, y.numel()).view(y.shape)).sum().backward()
        case(f"{name}, {reduction}", loss=loss, y=y,
             operands=[None if x is None else x + 1 if i in labels else x
                       for i, x in enumerate(operands)],
             options={**options, "reduction": reduction},
             grads=[None if x is None else x.grad for x in operands])


def chances(*shape):
    return (torch.rand(*shape) * 0.8 + 0.1).float().double().requires_grad_()


def rows(*shape):
    return torch.softmax(torch.randn(*shape), 1).float().double().requires_grad_()


def signs(*shape):
    return torch.randn(*shape).sign()


def bits(*shape):
    return (torch.rand(*shape) < 0.5).double()


# number by number
for shape in (7,), (3, 4), (2, 3, 1):
    at = "x".join(map(str, shape))
    compare(f"mse {at}", "mse", [leaf(*shape), leaf(*shape)], F.mse_loss)
    compare(f"mae {at}", "mae", [leaf(*shape), leaf(*shape)], F.l1_loss)
    compare(f"huber {at}", "huber", [leaf(*shape), leaf(*shape)], F.huber_loss)
    compare(f"huber {at}, delta", "huber", [leaf(*shape), leaf(*shape)],
            lambda p, t, reduction: F.huber_loss(p, t, delta=0.3, reduction=reduction),
            delta=0.3)
    compare(f"bce {at}", "bce", [chances(*shape), chances(*shape)],
            F.binary_cross_entropy)
    weight = torch.rand(*shape).float().double()
    compare(f"bce {at}, weight", "bce", [chances(*shape), chances(*shape), weight],
            lambda p, t, w, reduction: F.binary_cross_entropy(p, t, w, reduction=reduction))
    compare(f"bce_with_logits {at}", "bce_with_logits", [leaf(*shape), chances(*shape)],
            F.binary_cross_entropy_with_logits)
    compare(f"bce_with_logits {at}, weight", "bce_with_logits",
            [leaf(*shape), chances(*shape), weight],
            lambda p, t, w, reduction: F.binary_cross_entropy_with_logits(
                p, t, w, reduction=reduction))
    yes = torch.rand(shape[-1]).float().double() * 3
    compare(f"bce_with_logits {at}, pos_weight", "bce_with_logits",
            [leaf(*shape), chances(*shape), weight, yes],
            lambda p, t, w, y, reduction: F.binary_cross_entropy_with_logits(
                p, t, w, pos_weight=y, reduction=reduction))
    compare(f"margin_ranking {at}", "margin_ranking",
            [leaf(*shape), leaf(*shape), signs(*shape)], F.margin_ranking_loss)
    compare(f"margin_ranking {at}, margin", "margin_ranking",
            [leaf(*shape), leaf(*shape), signs(*shape)],
            lambda a, b, t, reduction: F.margin_ranking_loss(a, b, t, 0.4,
                                                             reduction=reduction),
            margin=0.4)
for shape in (5, 3), (2, 3, 2):
    p = torch.log_softmax(torch.randn(*shape), 1).float().double().requires_grad_()
    compare(f"kl_div {len(shape)}", "kl_div", [p, rows(*shape)], F.kl_div)
    p = p.detach().requires_grad_()
    compare(f"kl_div {len(shape)}, batchmean", "kl_div", [p, rows(*shape)],
            F.kl_div, reductions=["batchmean"])
tied = torch.tensor([1., 2., -1.])
compare("mae where both are equal", "mae", [tied.clone().requires_grad_(), tied], F.l1_loss)
compare("margin_ranking where both are equal", "margin_ranking",
        [tied.clone().requires_grad_(), tied.clone().requires_grad_(), signs(3)],
        F.margin_ranking_loss)
wrong = torch.tensor([0., 1., 1., 0.]).requires_grad_()
compare("bce of certainties", "bce", [wrong, bits(4)], F.binary_cross_entropy)


def reduced(values, reduction):
    return values if reduction == "none" else getattr(values, reduction)()


def hinge(p, t, reduction):
    return reduced((1 - t * p).clamp(min=0), reduction)


def focal(gamma, alpha):  # as torchvision.ops.sigmoid_focal_loss
    def f(x, t, reduction):
        p = torch.sigmoid(x)
        chance = p * t + (1 - p) * (1 - t)
        y = F.binary_cross_entropy_with_logits(x, t, reduction="none") * (1 - chance) ** gamma
        if alpha >= 0:
            y = (alpha * t + (1 - alpha) * (1 - t)) * y
        return reduced(y, reduction)
    return f


compare("hinge", "hinge", [leaf(4, 2), signs(4, 2)], hinge)
compare("focal", "focal", [leaf(4, 2), bits(4, 2)], focal(2, 0.25))
compare("focal of chances", "focal", [leaf(9), chances(9).detach()], focal(2, 0.25))
for gamma, alpha in (0, 0.25), (0.5, -1), (1, 0.5), (5, 0.9):
    compare(f"focal {gamma} {alpha}", "focal", [leaf(3, 4), bits(3, 4)], focal(gamma, alpha),
            gamma=gamma, alpha=alpha)

# vectors
for margin in 0, 0.3, -0.5:
    compare(f"cosine_embedding {margin}", "cosine_embedding",
            [leaf(6, 3), leaf(6, 3), signs(6)],
            lambda a, b, t, reduction: F.cosine_embedding_loss(a, b, t, margin,
                                                               reduction=reduction),
            margin=margin)
compare("triplet", "triplet", [leaf(6, 4), leaf(6, 4), leaf(6, 4)], F.triplet_margin_loss)
for options in ({"margin": 2}, {"p": 1}, {"p": 3, "margin": 2}, {"swap": True}, {"eps": 0.1},
                {"swap": True, "p": 1.5, "margin": 0.5}):
    compare(f"triplet {options}", "triplet", [leaf(7, 3), leaf(7, 3), leaf(7, 3)],
            lambda a, p, n, reduction: F.triplet_margin_loss(a, p, n, reduction=reduction,
                                                             **options), **options)
same = leaf(3, 2)
compare("triplet of equal rows, swap", "triplet",
        [same, same.detach().clone().requires_grad_(), leaf(3, 2)],
        lambda a, p, n, reduction: F.triplet_margin_loss(a, p, n, swap=True, margin=3,
                                                         reduction=reduction),
        swap=True, margin=3)

# classes
for shape, labels in ((6, 5), (6,)), ((3, 4, 2), (3, 2)), ((2, 3, 2, 2), (2, 2, 2)):
    at = "x".join(map(str, shape))
    y = torch.randint(shape[1], labels)
    weight = PLACES[:shape[1]].float().double()
    x = leaf(*shape)
    p = torch.log_softmax(x, 1).detach().requires_grad_()
    for options in ({}, {"weight"}, {"ignore"}, {"weight", "ignore"}):
        ours, theirs, extra = {}, {}, []
        if "weight" in options:
            theirs["weight"] = weight
            extra = [weight]
        if "ignore" in options:
            theirs["ignore_index"] = int(y.flatten()[0])
            ours["ignore"] = int(y.flatten()[0]) + 1
        what = f"{at} {' '.join(sorted(options))}"
        compare(f"nll {what}", "nll", [p, y, *extra],
                lambda p, y, *w, reduction: F.nll_loss(p, y, reduction=reduction, **theirs),
                labels=[1], **ours)
        for smoothing in 0, 0.2:
            compare(f"cross_entropy {what} {smoothing}", "cross_entropy", [x, y, *extra],
                    lambda x, y, *w, reduction: F.cross_entropy(
                        x, y, reduction=reduction, label_smoothing=smoothing, **theirs),
                    labels=[1], label_smoothing=smoothing, **ours)
    for extra, smoothing in ([], 0), ([weight], 0), ([], 0.3), ([weight], 0.3):
        theirs = {"weight": weight} if extra else {}
        compare(f"cross_entropy {at} chances {len(extra)} {smoothing}", "cross_entropy",
                [leaf(*shape), rows(*shape), *extra],
                lambda x, y, *w, reduction: F.cross_entropy(
                    x, y, reduction=reduction, label_smoothing=smoothing, **theirs),
                label_smoothing=smoothing)


# sequences: theirs are {time, batch, classes}; ours batch first. Gradients are of logits,
# since theirs for log-probabilities is already that of logits.
def ctc(name, time, classes, lengths, counts, blank=0, zero_infinity=False, targets=None):
    n, most = len(lengths), max(max(counts), 1)
    for reduction in "mean", "sum", "none":
        x = leaf(n, time, classes)
        if targets is None:
            labels = torch.randint(1, classes, (n, most))
            y = torch.where(labels <= blank, labels - 1, labels)
        else:
            y = torch.tensor(targets)
        p = torch.log_softmax(x, 2)
        loss = F.ctc_loss(p.transpose(0, 1), y, torch.tensor(lengths), torch.tensor(counts),
                          blank=blank, reduction=reduction, zero_infinity=zero_infinity)
        (loss * torch.linspace(0.5, 2, loss.numel()).view(loss.shape)).sum().backward()
        case(f"ctc {name}, {reduction}", x=x, y=loss, target=y + 1, dx=x.grad,
             lengths=lengths, counts=counts, log=True,
             options={"reduction": reduction, "blank": blank + 1,
                      "zero_infinity": zero_infinity})


ctc("of full length", 6, 4, [6, 6, 6], [2, 2, 2])
ctc("of several lengths", 12, 5, [12, 9, 7, 12], [4, 3, 0, 1])
ctc("whose blank is another", 10, 6, [10, 8], [3, 2], blank=3)
ctc("of repeated labels", 9, 3, [9, 5], [3, 3], targets=[[1, 1, 2], [2, 2, 2]])
ctc("that does not fit", 4, 3, [4, 4], [3, 1], targets=[[1, 1, 1], [2, 1, 1]],
    zero_infinity=True)
ctc("of one step", 1, 3, [1], [1])
ctc("long", 400, 8, [400, 300], [60, 70])
