#!/usr/bin/env python3
"""Writes nn_golden.h: what PyTorch makes of the building blocks of core/api/nn.h.

Made with torch 1.13. Run by hand, from this folder: python3 nn.py > nn_golden.h
Inputs come from value(), which nn_test.c repeats; everything is in double.
"""
import math

import torch
import torch.nn.functional as F

assert torch.__version__.startswith("1.13")
torch.set_default_dtype(torch.float64)

X, WEIGHT, BIAS, MEAN, VAR, TARGET, TIME = range(7)


def value(salt, *shape):
    n = math.prod(shape)
    flat = [1.2 * math.sin(12.9898 * i + 78.233 * salt + 0.5) for i in range(n)]
    return torch.tensor(flat).float().double().reshape(shape)


def positive(salt, *shape):
    return (0.5 + value(salt, *shape).abs()).float().double()


def emit(name, tensor):
    flat = tensor.detach().flatten().tolist()
    rows = [", ".join("%.17g" % v for v in flat[i:i + 4]) for i in range(0, len(flat), 4)]
    print("    {\"%s\", %d, (const double[]){\n        %s}}," % (name, len(flat), ",\n        ".join(rows)))


def functions():
    x = value(X, 3, 5)
    emit("silu", F.silu(x))
    emit("gelu", F.gelu(x))
    emit("gelu_tanh", F.gelu(x, approximate="tanh"))
    emit("quick_gelu", x * torch.sigmoid(1.702 * x))
    emit("relu", F.relu(x))
    emit("leaky_relu", F.leaky_relu(x, 0.2))
    emit("elu", F.elu(x, 0.7))
    emit("softplus", F.softplus(x))
    emit("clamp", x.clamp(-0.5, 0.7))
    emit("softmax", F.softmax(x, 0))
    emit("log_softmax", F.log_softmax(x, 1))
    emit("mean", x.mean(1, keepdim=True))
    emit("bce_with_logits", F.binary_cross_entropy_with_logits(x, positive(TARGET, 3, 5) / 2, reduction="none"))
    q, k, v = value(X, 2, 3, 4), value(WEIGHT, 2, 5, 4), value(BIAS, 2, 5, 3)
    emit("scaled_attention", F.softmax(0.5 * q @ k.transpose(1, 2), 2) @ v)
    emit("one_hot", F.one_hot(torch.tensor([2, 0, 3]), 4).double())


def kinks():
    """Slopes at 0, 0.7 and -0.5 (where clamp and max have theirs)."""
    x = torch.tensor([0.0, 0.7, -0.5], requires_grad=True)
    for name, f in (("relu", F.relu), ("leaky_relu", lambda x: F.leaky_relu(x, 0.2)), ("elu", F.elu),
                    ("softplus", F.softplus), ("clamp", lambda x: x.clamp(-0.5, 0.7)), ("abs", torch.abs),
                    ("gelu", F.gelu), ("silu", F.silu),
                    ("bce_with_logits", lambda x: F.binary_cross_entropy_with_logits(
                        x, torch.full((3,), 0.25), reduction="none"))):
        emit(name + "_slope", torch.autograd.grad(f(x).sum(), x)[0])


def spatial():
    x = value(X, 2, 4, 7, 6)
    emit("max_pool", F.max_pool2d(x, 3, 2, 1))
    emit("avg_pool", F.avg_pool2d(x, 2))
    emit("avg_pool_same", F.avg_pool2d(x, 5, 1, 2))
    small = value(X, 1, 2, 3, 4)
    emit("upsample_nearest", F.interpolate(small, scale_factor=2, mode="nearest"))
    emit("resize_bilinear", F.interpolate(small, (5, 7), mode="bilinear", align_corners=False))
    emit("resize_bilinear_down", F.interpolate(x[:1, :2], (3, 4), mode="bilinear", align_corners=False))
    emit("resize_bilinear_aligned", F.interpolate(small, (5, 7), mode="bilinear", align_corners=True))
    emit("flip_where", torch.stack([small[0], small[0].flip(-1)]))


def modules():
    x = value(X, 2, 4, 5, 6)
    emit("linear", F.linear(value(X, 2, 3, 4), value(WEIGHT, 5, 4), value(BIAS, 5)))
    emit("conv2d", F.conv2d(x, value(WEIGHT, 6, 2, 3, 3), value(BIAS, 6), stride=2, padding=2, dilation=2, groups=2))
    emit("conv_transpose2d", F.conv_transpose2d(x, value(WEIGHT, 4, 3, 3, 3), value(BIAS, 3), stride=2, padding=1,
                                                output_padding=1))
    emit("group_norm", F.group_norm(x, 2, value(WEIGHT, 4), value(BIAS, 4), 1e-5))
    emit("layer_norm", F.layer_norm(x, (6,), value(WEIGHT, 6), value(BIAS, 6), 1e-5))
    emit("instance_norm", F.instance_norm(x, eps=1e-5))
    emit("embedding", F.embedding(torch.tensor([2, 0, 3]), value(WEIGHT, 4, 3)))
    norm = torch.nn.BatchNorm2d(4)
    norm.load_state_dict({"weight": value(WEIGHT, 4), "bias": value(BIAS, 4), "running_mean": value(MEAN, 4),
                          "running_var": positive(VAR, 4), "num_batches_tracked": torch.tensor(7)})
    norm.eval()
    emit("batch_norm_eval", norm(x))
    norm.train()
    emit("batch_norm", norm(x))
    emit("batch_norm_running_mean", norm.running_mean)
    emit("batch_norm_running_var", norm.running_var)
    emit("batch_norm_second", norm(2 * x + 1))
    emit("batch_norm_second_running_mean", norm.running_mean)
    emit("batch_norm_second_running_var", norm.running_var)
    emit("batch_norm_second_num_batches_tracked", norm.num_batches_tracked)


def timestep_embedding(t, width, flip, shift, max_period=10000):
    """diffusers.models.embeddings.get_timestep_embedding, in double."""
    half = width // 2
    exponent = -math.log(max_period) * torch.arange(half).double() / (half - shift)
    e = t[:, None] * torch.exp(exponent)[None, :]
    e = torch.cat([torch.cos(e), torch.sin(e)] if flip else [torch.sin(e), torch.cos(e)], dim=-1)
    return F.pad(e, (0, width % 2))


def optimizers():
    for name, make in (
            ("sgd", lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.1)),
            ("adam", lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)),
            ("adamw", lambda p: torch.optim.AdamW(p, lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)),
            ("rmsprop", lambda p: torch.optim.RMSprop(p, lr=0.05, alpha=0.95, eps=1e-3, weight_decay=0.1))):
        p = [value(WEIGHT, 5).requires_grad_(), value(BIAS, 3).requires_grad_()]
        optimizer = make(p)
        norms = []
        for _ in range(4):
            optimizer.zero_grad()
            (torch.exp(p[0]).sum() + (p[0][:3] * p[1]).sum()).backward()
            norms.append(torch.nn.utils.clip_grad_norm_(p, 2.0))
            optimizer.step()
        emit("optimizer_" + name, torch.cat(p))
        emit("optimizer_" + name + "_norm", torch.stack(norms))


print("/* Made by nn.py with torch %s: name, number of values, values. */" % torch.__version__)
print("static const struct golden {\n    const char *name;\n    int n;\n    const double *values;\n} goldens[] = {")
functions()
kinks()
spatial()
modules()
for flip in (False, True):
    emit("timestep_embedding_" + ("flip" if flip else "plain"),
         timestep_embedding(torch.tensor([0.0, 3.0, 250.5]), 7, flip, 1 if flip else 0))
optimizers()
print("};")
