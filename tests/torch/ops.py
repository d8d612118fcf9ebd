"""Ops: values and gradients. A case is named by its line of Lua, in which a, b, c and d
are the operands in turn; those that collect no gradient are ids (from 1) and conditions."""
import math

import torch
import torch.nn.functional as F
from common import case, leaf

INF, NAN = math.inf, math.nan


def results_of(y):
    return list(y) if isinstance(y, (tuple, list)) else [y]


def op(lua, f, *operands):
    """y = f(..) and the gradient of sum(weight * y), over all results that have one."""
    ys = results_of(f(*operands))
    slopes = [torch.randn(y.shape).float().double() for y in ys]
    tracked = [(y * w).sum() for y, w in zip(ys, slopes) if y.requires_grad]
    if tracked:
        sum(tracked).backward()
    grads = [x.grad if x.grad is not None else False for x in operands]
    case(lua, operands=operands, leaf=[x.requires_grad for x in operands],
         y=[y.double() for y in ys], slopes=slopes, back=[y.requires_grad for y in ys],
         grads=grads)


def given(*numbers, shape=None):
    """A leaf of these numbers: kinks, ties, what is not finite."""
    t = torch.tensor(numbers)
    return (t.reshape(shape) if shape else t).float().double().requires_grad_()


def positive(*shape):
    return (leaf(*shape).detach().abs() + 0.25).float().double().requires_grad_()


def ids(*numbers, shape=None):
    t = torch.tensor(numbers, dtype=torch.float64)
    return t.reshape(shape) if shape else t


def places(i):
    """Ids as PyTorch counts them."""
    return i.long() - 1


# ---- functions of one number ----

KINKS = (-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0)

for name in "exp sqrt square abs sign sin cos neg sigmoid tanh relu".split():
    f = getattr(torch, name)
    op("a:%s()" % name, f, positive(2, 3) if name == "sqrt" else leaf(2, 3))
    if name not in ("exp", "sqrt"):
        op("(a):%s()" % name, f, given(*KINKS))
for name in "elu selu gelu silu softplus softsign hardtanh leaky_relu".split():
    op("a:%s()" % name, getattr(F, name), leaf(2, 3))
    op("(a):%s()" % name, getattr(F, name), given(*KINKS))
op("a:log()", torch.log, positive(3, 2))
op("-a", torch.neg, leaf(4))
op("a:step()", lambda a: torch.heaviside(a.detach(), torch.zeros(())), given(*KINKS))
op("a:leaky_relu(0.3)", lambda a: F.leaky_relu(a, 0.3), given(*KINKS))
op("a:elu(0.7)", lambda a: F.elu(a, 0.7), given(-3.0, -0.5, 0.5, 2.0))
op("a:clamp(-1, 0.5)", lambda a: a.clamp(-1, 0.5), given(*KINKS))
op("a:sigmoid() -- far out", torch.sigmoid, given(-200.0, -20.0, 20.0, 200.0))
op("a:tanh() -- far out", torch.tanh, given(-200.0, -20.0, 20.0, 200.0, -1e-8))
op("a:softplus() -- far out", F.softplus, given(-200.0, -20.0, 20.0, 200.0))
op("a:gelu() -- far out", F.gelu, given(-200.0, -20.0, 20.0, 200.0))
op("a:silu() -- far out", F.silu, given(-80.0, -20.0, 20.0, 80.0))
op("a:elu() -- far out", F.elu, given(-200.0, -20.0, -1e-8, 1e-8, 200.0))
op("a:exp() -- not finite", torch.exp, given(-INF, INF, NAN))
op("a:relu() -- not finite", torch.relu, given(-INF, INF))
op("a:sqrt() -- of 0", torch.sqrt, given(4.0, 0.0))
op("a:clamp(0, 1) -- not finite", lambda a: a.clamp(0, 1), given(-INF, INF))

# ---- functions of two numbers, broadcast ----

PAIRS = {"a + b": torch.add, "a - b": torch.sub, "a * b": torch.mul, "a / b": torch.div,
         "a:minimum(b)": torch.minimum, "a:maximum(b)": torch.maximum}
for lua, f in PAIRS.items():
    op(lua, f, leaf(2, 3), positive(2, 3))
    op(lua + " -- rows", f, leaf(2, 3), positive(3))
    op(lua + " -- columns", f, leaf(2, 1), positive(1, 3))
    op(lua + " -- both ways", f, leaf(2, 1, 3), positive(4, 1))
    op(lua + " -- a number", f, leaf(), positive(4))
    op(lua + " -- ties", f, given(1.0, 2.0, -1.0), given(1.0, 1.0, 2.0))
op("2 - a", lambda a: 2 - a, leaf(3))
op("2 / a", lambda a: 2 / a, positive(3))
op("a * 3 + 1", lambda a: a * 3 + 1, leaf(3))
op("a / b -- by 0", torch.div, given(1.0, -1.0), given(0.0, 0.0))
op("a ^ b", torch.pow, positive(2, 3), leaf(2, 3))
op("a ^ b -- both ways", torch.pow, positive(2, 1), leaf(3))
op("a ^ 2", lambda a: a ** 2, given(*KINKS))
op("a ^ 3", lambda a: a ** 3, given(*KINKS))
op("a ^ -1", lambda a: a ** -1, given(-2.0, 0.5, 3.0))
op("a ^ 0", lambda a: a ** 0, given(*KINKS))
op("a ^ 0.5", lambda a: a ** 0.5, positive(3))
op("2 ^ a", lambda a: 2 ** a, leaf(3))
op("a ^ b -- of 0", torch.pow, given(0.0, 0.0, 0.0), given(0.0, 1.0, 2.5))
for name in "eq ne lt le gt ge".split():
    f = getattr(torch, name)
    op("a:%s(b)" % name, f, given(1.0, 2.0, 3.0), given(2.0, 2.0, 2.0))
    op("a:%s(b) -- NaN" % name, f, given(1.0, NAN, NAN), given(NAN, 1.0, NAN))
op("a:maximum(b) -- NaN", torch.maximum, given(1.0, NAN).detach(), given(NAN, 1.0).detach())
op("a:minimum(b) -- NaN", torch.minimum, given(1.0, NAN).detach(), given(NAN, 1.0).detach())
op("mg.where(a, b, c)", lambda a, b, c: torch.where(a != 0, b, c),
   ids(1, 0, 0, 1, 1, 0, shape=(2, 3)), leaf(2, 3), leaf(2, 3))
op("mg.where(a, b, c) -- broadcast", lambda a, b, c: torch.where(a != 0, b, c),
   ids(1, 0, shape=(2, 1)), leaf(3), leaf())

# ---- reductions ----

DIMS = {"": {}, "1": {"dim": 0}, "2": {"dim": 1}, "-1": {"dim": -1},
        "2, true": {"dim": 1, "keepdim": True}, "-3, true": {"dim": -3, "keepdim": True}}
for name in "sum mean var std norm".split():
    for lua, options in DIMS.items():
        op("a:%s(%s)" % (name, lua), lambda a: getattr(a, name)(**options), leaf(2, 3, 4))
for name in "max min argmax argmin".split():
    for lua, options in DIMS.items():
        def pick(a):
            y = getattr(a, name)(**options)
            if name.startswith("arg"):
                return y + 1
            return (y[0], y[1] + 1) if options else y
        op("a:%s(%s)" % (name, lua), pick, leaf(2, 3, 4))
for name in "var std".split():
    for correction in 0, 1, 2:
        op("a:%s(2, false, %d)" % (name, correction),
           lambda a: getattr(a, name)(dim=1, correction=correction), leaf(3, 4))
op("a:var(nil, nil, 0) -- one number", lambda a: a.var(unbiased=False), leaf(1))
for p in 1, 2, 3, 2.5, 0.5, 0, INF:
    lua = "math.huge" if p == INF else p
    op("a:norm(1, false, %s)" % lua, lambda a: a.norm(p=p, dim=0), leaf(4, 3))
    op("a:norm(nil, nil, %s)" % lua, lambda a: a.norm(p=p), leaf(4, 3))
    op("a:norm(nil, nil, %s) -- ties" % lua, lambda a: a.norm(p=p), given(-2.0, 0.0, 2.0, 1.0))
op("a:norm() -- of zeros", lambda a: a.norm(), given(0.0, 0.0))
op("a:norm(1, false, 1) -- zeros in it", lambda a: a.norm(p=1, dim=0), given(0.0, -2.0))
op("a:sum() -- a number", lambda a: a.sum(), leaf())
op("a:mean(2) -- one wide", lambda a: a.mean(1), leaf(3, 1))
op("a:max(2) -- ties", lambda a: (a.max(1)[0], a.max(1)[1] + 1),
   given(1.0, 2.0, 2.0, 3.0, 3.0, 1.0, shape=(2, 3)))
op("a:argmax(1) -- NaN", lambda a: a.argmax(0) + 1, given(1.0, NAN, 3.0).detach())
op("a:sum(1) -- long", lambda a: a.sum(0), leaf(1000, 3))
op("(a + 1000):var(1)", lambda a: (a + 1000).var(0), given(*(k / 8 for k in range(50))))

# ---- products ----

MATMUL = {"rows by columns": ((2, 3), (3, 4)), "vectors": ((3,), (3,)),
          "vector by matrix": ((3,), (3, 2)), "matrix by vector": ((2, 3), (3,)),
          "batch": ((5, 2, 3), (5, 3, 4)), "batch by matrix": ((5, 2, 3), (3, 4)),
          "matrix by batch": ((2, 3), (5, 3, 4)), "batch by vector": ((5, 2, 3), (3,)),
          "vector by batch": ((3,), (5, 3, 2)), "broadcast": ((2, 1, 3, 4), (5, 4, 2)),
          "one by one": ((1, 1), (1, 1)), "larger": ((17, 33), (33, 19))}
for name, (a, b) in MATMUL.items():
    op("a:matmul(b) -- " + name, torch.matmul, leaf(*a), leaf(*b))
op("a:transpose(1, 2):matmul(b)", lambda a, b: a.t().matmul(b), leaf(3, 2), leaf(3, 4))
op("mg.linear(a, b, c)", F.linear, leaf(2, 5, 3), leaf(4, 3), leaf(4))
op("mg.linear(a, b)", F.linear, leaf(5, 3), leaf(1, 3))

# ---- softmax ----

for name in "softmax log_softmax".split():
    for lua, dim in ("", -1), ("1", 0), ("2", 1), ("-2", -2):
        op("a:%s(%s)" % (name, lua), lambda a: getattr(F, name)(a, dim), leaf(2, 3, 4))
    op("a:%s() -- far apart" % name, lambda a: getattr(F, name)(a, -1),
       given(1000.0, -1000.0, 999.0))
    op("a:%s() -- of -inf" % name, lambda a: getattr(F, name)(a, -1), given(1.0, -INF, 0.0))
    op("a:%s(2) -- one wide" % name, lambda a: getattr(F, name)(a, 1), leaf(3, 1))

# ---- views ----

op("a:reshape(4, 3)", lambda a: a.reshape(4, 3), leaf(2, 6))
op("a:reshape(2, -1)", lambda a: a.reshape(2, -1), leaf(2, 3, 2))
op("a:transpose(1, 3):reshape(4, -1)", lambda a: a.transpose(0, 2).reshape(4, -1),
   leaf(2, 3, 4))
op("a:flatten()", lambda a: a.flatten(), leaf(2, 3, 2))
op("a:flatten(2)", lambda a: a.flatten(1), leaf(2, 3, 2))
op("a:permute(3, 1, 2)", lambda a: a.permute(2, 0, 1), leaf(2, 3, 4))
op("a:narrow(2, 2, 2)", lambda a: a.narrow(1, 1, 2), leaf(3, 4))
op("a:select(1, 2)", lambda a: a.select(0, 1), leaf(3, 4))
op("a:select(-1, -1)", lambda a: a.select(-1, -1), leaf(3, 4))
op("a[2]", lambda a: a[1], leaf(3, 4))
op("a:squeeze()", lambda a: a.squeeze(), leaf(1, 3, 1))
op("a:squeeze(3)", lambda a: a.squeeze(2), leaf(1, 3, 1))
op("a:unsqueeze(2)", lambda a: a.unsqueeze(1), leaf(2, 3))
op("a:unsqueeze(-1)", lambda a: a.unsqueeze(-1), leaf(2, 3))
op("a:expand(4, 3, -1)", lambda a: a.expand(4, 3, -1), leaf(3, 1))
op("a:expand(3, 5) * b", lambda a, b: a.expand(3, 5) * b, leaf(3, 1), leaf(3, 5))
op("a:transpose(1, 2):contiguous()", lambda a: a.t().contiguous(), leaf(2, 3))
op("a:clone()", lambda a: a.clone(), leaf(2, 3))
op("a:split(2, 2)", lambda a: a.split(2, 1), leaf(2, 5))
op("a:chunk(3, 1)", lambda a: a.chunk(3, 0), leaf(7, 2))

# ---- joining and picking ----

op("mg.cat({ a, b, c }, 2)", lambda *x: torch.cat(x, 1), leaf(2, 1), leaf(2, 3), leaf(2, 2))
op("mg.cat({ a, a }, -1)", lambda a: torch.cat([a, a], -1), leaf(2, 3))
op("mg.stack({ a, b })", lambda *x: torch.stack(x), leaf(2, 3), leaf(2, 3))
op("mg.stack({ a, b }, 3)", lambda *x: torch.stack(x, 2), leaf(2, 3), leaf(2, 3))
op("mg.stack({ a, b }, -1) -- numbers", lambda *x: torch.stack(x, -1), leaf(), leaf())
op("a:index_select(1, b)", lambda a, i: a.index_select(0, places(i)),
   leaf(3, 2), ids(3, 1, 3, 3))
op("a:index_select(-1, b)", lambda a, i: a.index_select(-1, places(i)),
   leaf(2, 3, 4), ids(4, 2))
op("a:gather(2, b)", lambda a, i: a.gather(1, places(i)),
   leaf(2, 3), ids(1, 3, 3, 2, shape=(2, 2)))
op("a:gather(1, b)", lambda a, i: a.gather(0, places(i)),
   leaf(2, 3), ids(1, 2, 2, 2, 1, 1, shape=(3, 2)))
op("a:gather(-2, b)", lambda a, i: a.gather(-2, places(i)),
   leaf(2, 3, 2), ids(3, 1, 2, 2, shape=(2, 2, 1)))
op("mg.one_hot(a, 4)", lambda i: F.one_hot(places(i), 4), ids(2, 4, 1))
op("mg.one_hot(a, 3) -- rows", lambda i: F.one_hot(places(i), 3), ids(2, 3, 1, 1, shape=(2, 2)))

# ---- one tensor in many places ----

op("a * a + a:sum() * a", lambda a: a * a + a.sum() * a, leaf(3))
op("(a:matmul(a:transpose(1, 2)) * 0.1):softmax():matmul(a)",
   lambda a: (a.matmul(a.t()) * 0.1).softmax(-1).matmul(a), leaf(4, 3))
op("(a - a:mean(2, true)) / (a:var(2, true, 0) + 1e-5):sqrt() * b + c",
   lambda a, b, c: F.layer_norm(a, (5,), b, c), leaf(3, 5), leaf(5), leaf(5))
