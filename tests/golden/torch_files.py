#!/usr/bin/env python3
"""Makes the torch.save files of the import test. Version: torch 2.15.0. Never run by the tests.

    python3 tests/golden/torch_files.py        (in the folder of the project)
"""
import pathlib
import pickle
from collections import OrderedDict

import torch

HERE = pathlib.Path(__file__).parent
torch.manual_seed(0)
weights = OrderedDict([("module.fc.weight", torch.arange(12.0).reshape(3, 4)), ("module.fc.bias", torch.tensor([1.0, 2, 3])),
                       ("module.n", torch.tensor(5)), ("module.half", torch.tensor([0.5, -2], dtype=torch.float16))])
torch.save(weights, HERE / "torch-plain.pth")
# transposed and sliced: strides and offsets into a shared storage
base = torch.arange(24.0).reshape(4, 6)
torch.save({"a": base.t(), "b": base[1:3, 2:5], "c": torch.nn.Parameter(base[0])}, HERE / "torch-strided.pth")
# as ncsnv2 saves: [model, optimizer, epoch, step, average]
model = OrderedDict((k, v + 0) for k, v in weights.items())
average = OrderedDict([("module.fc.weight", torch.full((3, 4), 7.0)), ("module.fc.bias", torch.full((3,), 8.0))])
torch.save([model, {"state": {0: {"step": 1}}, "param_groups": [{"lr": 0.1}]}, 3, 400, average], HERE / "torch-list.pth")


class Evil:
    def __reduce__(self):
        import os
        return os.system, ("touch /tmp/kiln-import-was-executed",)


torch.save({"weight": torch.ones(2), "evil": Evil()}, HERE / "torch-evil.pth")
