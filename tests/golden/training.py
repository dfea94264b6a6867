"""What the scripts that make training goldens share.

A golden file holds, for one configuration: the state before (init.NAME), the batches (x.STEP u8 or f32, label.STEP
i32), the losses of ten steps of Adam (epsilon 1e-4) and other values of each step (metric.NAME), the gradients of the
first (grad.NAME), the state after (final.NAME) and its moving average (ema.NAME). In place of a large init.NAME the
metadata "drawn" may have a line "NAME BOUND": uniform in +- BOUND, by the random numbers of stream number-of-the-line. Of a tensor with more than 512
elements, grad., final. and ema. hold every seventh, to keep the files small. The metadata holds the configuration, the
seed and the names whose gradient is zero in exact arithmetic. The rng step word of step i is i + 1.
"""
import copy
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file

import philox

torch.set_num_threads(1)
SEED = 7
STEPS = 10
STRIDE = 7


def thinned(value):
    value = value.detach().numpy()
    return value.reshape(-1)[::STRIDE].copy() if value.size > 512 else value.copy()


def as_float(batch):
    x = torch.from_numpy(batch.astype(np.float32))
    return x * np.float32(1.0 / 255) if batch.dtype == np.uint8 else x


def train(model, loss_of, batches, labels, lr, group, clamp, ema_decay):
    """Ten steps; returns the trained parameters' first gradients and averages, and the values of each step."""
    trained = {k: p for k, p in model.named_parameters() if k.startswith(group)}
    average = {k: p.detach().clone() for k, p in trained.items()}
    optimizer = torch.optim.Adam(trained.values(), lr=lr, eps=1e-4)
    gradients, columns = {}, {"losses": []}
    for i in range(STEPS):
        label = None if labels is None else torch.from_numpy(labels[i].astype(np.int64))
        model.zero_grad()
        loss = loss_of(model, as_float(batches[i]), label, i + 1)
        loss, others = loss if isinstance(loss, tuple) else (loss, {})
        loss.backward()
        if i == 0:
            gradients = {k: p.grad.clone() for k, p in trained.items()}
        optimizer.step()
        with torch.no_grad():
            for k, p in trained.items():
                if clamp:
                    p.clamp_(-clamp, clamp)
                average[k].lerp_(p, 1 - ema_decay)
        columns["losses"].append(loss.item())
        for name, value in others.items():
            columns.setdefault(f"metric.{name}", []).append(value.item())
    return gradients, average, columns


def draw(model, prefix=""):
    """Gives the model's large weights drawn values, in place; returns the metadata that says so."""
    lines = []
    for name, p in model.named_parameters():
        if p.numel() > 512 and p.dim() > 1:
            bound = float(p[0].numel()) ** -0.5
            values = (2 * philox.uniform((1, p.numel()), 0, 0, len(lines)).astype(np.float64) - 1) * bound
            p.data = torch.from_numpy(values.astype(np.float32).reshape(p.shape))
            lines.append(f"{prefix}{name} {bound!r}")
    return "\n".join(lines)


def check_stable(first, expected, zero_gradient, *arguments):
    """Dies if rounding decides the result: at kinks (ReLU, max pooling) it may. Then another seed is to be chosen."""
    for trial in range(8):
        torch.manual_seed(trial)
        model = copy.deepcopy(first)
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(1 + 3e-7 * torch.randn_like(p))
        train(model, *arguments)
        for k, v in model.state_dict().items():
            error = (v - expected[k]).double().norm() / expected[k].double().norm().clamp(1e-30)
            assert k in zero_gradient or not v.dtype.is_floating_point or error < 5e-5, f"unstable: {k} {error}"


def make(path, config, model, loss_of, batches, labels=None, zero_gradient=(), lr=1e-3, tolerance="1e-5", group="",
         clamp=0, ema_decay=0, drawn="", **metadata):
    """loss_of(model, x float tensor, label, step word) -> scalar loss, or the loss and a dict of other scalars.

    batches [STEPS, B, ...]: pictures u8 or points f32. group: prefix of the parameters that are trained, and then
    clamped to +- clamp unless that is 0. drawn: what draw(model) returned.
    """
    names = {line.split()[0] for line in drawn.splitlines()}
    tensors = {f"init.{k}": v.detach().numpy().copy() for k, v in model.state_dict().items() if k not in names}
    first = copy.deepcopy(model)
    arguments = loss_of, batches, labels, lr, group, clamp, ema_decay
    gradients, average, columns = train(model, *arguments)
    check_stable(first, model.state_dict(), zero_gradient, *arguments)
    for i in range(STEPS):
        tensors[f"x.{i}"] = batches[i]
        if labels is not None:
            tensors[f"label.{i}"] = labels[i].astype(np.int32)
    tensors.update({k: np.array(v, np.float64) for k, v in columns.items()})
    tensors.update({f"grad.{k}": thinned(v) for k, v in gradients.items()})
    tensors.update({f"final.{k}": thinned(v) for k, v in model.state_dict().items()})
    if ema_decay:
        tensors.update({f"ema.{k}": thinned(v) for k, v in average.items()})
        metadata["ema_decay"] = ema_decay
    tensors = {k: np.ascontiguousarray(v.astype(np.int32) if v.dtype == np.int64 else v) for k, v in tensors.items()}
    metadata.update(config=config, drawn=drawn, seed=SEED, zero_gradient=" ".join(zero_gradient), learning_rate=lr,
                    tolerance=tolerance, steps=STEPS, torch=torch.__version__)
    save_file(tensors, path, {k: str(v) for k, v in metadata.items()})
    pathlib.Path(path).chmod(0o644)
    print(path, columns["losses"][0], columns["losses"][-1], f"{pathlib.Path(path).stat().st_size / 1e3:.0f} kB")


def pictures(batch, channels, height, width, seed=3):
    """Blurred blobs, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    out = np.zeros((STEPS, batch, channels, height, width))
    for index in np.ndindex(out.shape[:3]):
        cy, cx, s = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(1, 3)
        out[index] = 255 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * s * s))
    return out.astype(np.uint8)


def labels(batch, classes, seed=4):
    return np.random.default_rng(seed).integers(0, classes, (STEPS, batch))
