"""What the scripts that make training goldens share.

A golden file holds, for one configuration: the state before (init.NAME), the batches (x.STEP u8, label.STEP i32), the
losses of ten steps of Adam (epsilon 1e-4), the gradients of the first (grad.NAME) and the state after (final.NAME); its
metadata holds the configuration, the seed and the names whose gradient is zero in exact arithmetic. The rng step word
of step i is i + 1.
"""
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file

SEED = 7
STEPS = 10


def make(path, config, model, loss_of, pictures, labels=None, zero_gradient=(), rename=lambda name: name, lr=1e-3,
         tolerance="1e-5"):
    """loss_of(model, x float tensor, label, step word) -> scalar loss; pictures u8 [STEPS, B, C, H, W]."""
    tensors = {f"init.{rename(k)}": v.detach().numpy().copy() for k, v in model.state_dict().items()}
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, eps=1e-4)
    losses = []
    for i in range(STEPS):
        x = torch.from_numpy(pictures[i].astype(np.float32) * np.float32(1.0 / 255))
        label = None if labels is None else torch.from_numpy(labels[i].astype(np.int64))
        optimizer.zero_grad()
        loss = loss_of(model, x, label, i + 1)
        loss.backward()
        if i == 0:
            tensors.update({f"grad.{rename(k)}": p.grad.numpy().copy() for k, p in model.named_parameters()})
        optimizer.step()
        losses.append(loss.item())
        tensors[f"x.{i}"] = pictures[i]
        if labels is not None:
            tensors[f"label.{i}"] = labels[i].astype(np.int32)
    tensors["losses"] = np.array(losses, np.float64)
    tensors.update({f"final.{rename(k)}": v.detach().numpy().copy() for k, v in model.state_dict().items()})
    tensors = {k: np.ascontiguousarray(v.astype(np.int32) if v.dtype == np.int64 else v) for k, v in tensors.items()}
    save_file(tensors, path, {"config": config, "seed": str(SEED), "zero_gradient": " ".join(zero_gradient),
                              "learning_rate": str(lr), "tolerance": tolerance, "steps": str(STEPS),
                              "torch": torch.__version__})
    pathlib.Path(path).chmod(0o644)
    print(path, losses[0], losses[-1])


def pictures(batch, channels, height, width, seed=3):
    """Blurred blobs, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    out = np.zeros((STEPS, batch, channels, height, width))
    for index in np.ndindex(out.shape[:3]):
        cy, cx, s = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(1, 3)
        out[index] = 255 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * s * s))
    return out.astype(np.uint8)
