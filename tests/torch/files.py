"""Modules whose state_dict goes into a safetensors file and back, by struct and json alone."""
import sys

import torch
from torch import nn

# save and load, as the documentation has them
with open("bindings/README.md") as page:
    exec(page.read().split("```python\n")[1].split("```")[0])

folder = sys.argv[1]
torch.manual_seed(1)
torch.set_num_threads(1)

modules = {
    "dense": (nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)), (4, 3)),
    "picture": (nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
                              nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3)), (2, 2, 4, 4)),
    "norm": (nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.PReLU(), nn.Linear(4, 4),
                           nn.GroupNorm(2, 4)), (5, 3)),
    "lstm": (nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True), (2, 5, 3)),
    "gru": (nn.GRU(3, 4, batch_first=True), (2, 5, 3)),
    "block": (nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), (2, 3, 4)),
}


def answer(module, x):
    with torch.no_grad():
        y = module(x)
    return y[0] if isinstance(y, tuple) else y


for name, (module, shape) in modules.items():
    module.eval()
    for key, t in module.state_dict().items():
        if key.endswith("running_mean"):
            t.normal_()
    if sys.argv[2] == "write":
        x = torch.randn(shape)
        save(f"{folder}/{name}.safetensors", module.state_dict())
        save(f"{folder}/{name}-case.safetensors", {"x": x, "y": answer(module, x)})
    else:
        case = load(f"{folder}/{name}-back-case.safetensors")
        module.load_state_dict(load(f"{folder}/{name}-back.safetensors"))
        print(name, (answer(module, case["x"]) - case["y"]).abs().max().item())
