"""Convolution, its transpose, pooling, padding and scaling: values and gradients."""
import torch.nn as nn
from common import case, grads, leaf, weights


def run(name, ours, args, module, x):
    """'ours' is our layer's name, 'args' what its constructor gets."""
    w = weights(module)
    y = module(x)
    y.square().sum().backward()
    case(name, layer=ours, args=args, x=x, y=y, weights=w, dx=x.grad, grads=grads(module))


convs = {
    "plain": ({}, {}),
    "strided": ({"stride": [2, 3], "padding": [1, 2]}, {"stride": (2, 3), "padding": (1, 2)}),
    "dilated": ({"dilation": [2, 3], "padding": 2}, {"dilation": (2, 3), "padding": 2}),
    "grouped": ({"groups": 2, "bias": False}, {"groups": 2, "bias": False}),
    "depthwise": ({"groups": 4, "stride": 3}, {"groups": 4, "stride": 3}),
    "same": ({"padding": "same"}, {"padding": "same"}),
}
for name, (ours, theirs) in convs.items():
    run("conv2d, " + name, "conv2d", [8, [3, 2], ours], nn.Conv2d(4, 8, (3, 2), **theirs),
        leaf(3, 4, 9, 8))
run("conv2d, many channels", "conv2d", [20, 3, {"padding": 1}],
    nn.Conv2d(18, 20, 3, padding=1), leaf(2, 18, 7, 6))
run("conv2d, longer strides than the window", "conv2d", [3, 1, {"stride": 4}],
    nn.Conv2d(2, 3, 1, stride=4), leaf(2, 2, 9, 10))
run("conv1d", "conv1d", [5, 4, {"stride": 2, "padding": 3, "dilation": 2}],
    nn.Conv1d(3, 5, 4, stride=2, padding=3, dilation=2), leaf(2, 3, 11))
run("conv_transpose2d", "conv_transpose2d", [6, 3], nn.ConvTranspose2d(4, 6, 3),
    leaf(2, 4, 5, 6))
run("conv_transpose2d, strided", "conv_transpose2d",
    [6, [3, 4], {"stride": [2, 3], "padding": 1, "output_padding": [1, 2], "groups": 2}],
    nn.ConvTranspose2d(4, 6, (3, 4), stride=(2, 3), padding=1, output_padding=(1, 2), groups=2),
    leaf(2, 4, 5, 3))
run("conv_transpose1d", "conv_transpose1d", [3, 4, {"stride": 2, "dilation": 3}],
    nn.ConvTranspose1d(2, 3, 4, stride=2, dilation=3), leaf(2, 2, 5))

simple = [
    ("maxpool2d", [2], nn.MaxPool2d(2), (2, 3, 7, 6)),
    ("maxpool2d", [[3, 2], {"stride": [1, 2], "padding": 1}],
     nn.MaxPool2d((3, 2), stride=(1, 2), padding=1), (2, 3, 7, 6)),
    ("avgpool2d", [2], nn.AvgPool2d(2), (2, 3, 7, 6)),
    ("avgpool2d", [3, {"stride": 2, "padding": 1}], nn.AvgPool2d(3, 2, 1), (2, 3, 7, 6)),
    ("maxpool1d", [3], nn.MaxPool1d(3), (2, 3, 10)),
    ("avgpool1d", [3, {"stride": 1}], nn.AvgPool1d(3, 1), (2, 3, 10)),
    ("adaptive_avgpool2d", [[3, 5]], nn.AdaptiveAvgPool2d((3, 5)), (2, 3, 7, 6)),
    ("adaptive_maxpool2d", [[3, 5]], nn.AdaptiveMaxPool2d((3, 5)), (2, 3, 7, 6)),
    ("adaptive_avgpool1d", [4], nn.AdaptiveAvgPool1d(4), (2, 3, 7)),
    ("upsample2d", [[2, 3]], nn.Upsample(scale_factor=(2, 3)), (2, 3, 4, 5)),
    ("upsample2d", [[2, 3], "bilinear"], nn.Upsample(scale_factor=(2, 3), mode="bilinear"),
     (2, 3, 4, 5)),
    ("upsample1d", [3, "bilinear"], nn.Upsample(scale_factor=3, mode="linear"), (2, 3, 5)),
    ("pad2d", [[3, 1], {"after": [4, 2]}], nn.ZeroPad2d((1, 2, 3, 4)), (2, 3, 6, 5)),
    ("pad2d", [[3, 1], {"after": [4, 2], "mode": "reflect"}], nn.ReflectionPad2d((1, 2, 3, 4)),
     (2, 3, 6, 5)),
    ("pad2d", [[3, 1], {"after": [4, 2], "mode": "replicate"}],
     nn.ReplicationPad2d((1, 2, 3, 4)), (2, 3, 6, 5)),
    ("pad1d", [3, {"mode": "reflect"}], nn.ReflectionPad1d(3), (2, 3, 6)),
]
for i, (layer, args, module, shape) in enumerate(simple):
    run(f"{layer}, {i}", layer, args, module, leaf(*shape))
