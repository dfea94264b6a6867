"""The variational bound of a network of zeros, known in closed form.

    bound.py KILN CONFIG_DIR

A picture of one grey x has squares x^2; a network that predicts no noise takes x_t / sqrt(abar_t) for the picture, so
each term's mean is an integral over one normal number. With nine steps after the first, every step is evaluated.
"""
import json
import math
import os

from harness import check, devices, finish, folder, kiln, tensors, write_png, write_tensors

STEPS, GREY, SIDE = 10, 200, 16
CONFIG = """[model]
plugin = ddpm
[data]
source = images
folder = {folder}
[network]
block_out_channels = 4, 8
layers_per_block = 1
norm_num_groups = 2
attention_head_dim = 4
[scheduler]
num_train_timesteps = {steps}
beta_start = 0.002
beta_end = 0.3
variance_type = {variance}
clip_sample = false
[train]
batch_size = 16
steps = 1
sample_every = 0
"""


def mean_over_normal(function, n=4000):
    """The mean of function(z), z ~ N(0, 1)."""
    total = weight = 0.0
    for i in range(n):
        z = -8 + 16 * (i + 0.5) / n
        density = math.exp(-z * z / 2)
        total += density * function(z)
        weight += density
    return total / weight


def expected(variance):
    """Nats of prior, divergences, decoder, per pixel."""
    beta = [0.002 + (0.3 - 0.002) * i / (STEPS - 1) for i in range(STEPS)]
    bar = [math.prod(1 - b for b in beta[:t + 1]) for t in range(STEPS)]
    x = GREY / 255 * 2 - 1
    prior = 0.5 * (bar[-1] * x * x - bar[-1] - math.log(1 - bar[-1]))
    true = [None] + [(1 - bar[t - 1]) / (1 - bar[t]) * beta[t] for t in range(1, STEPS)]
    divergence = 0
    for t in range(1, STEPS):
        own = true[t] if variance == "fixed_small" else beta[t]
        # means differ by sqrt(abar_t-1) beta / (1 - abar_t) (x0 - x_t / sqrt(abar_t))
        means = bar[t - 1] * (beta[t] / (1 - bar[t])) ** 2 * (1 - bar[t]) / bar[t]
        divergence += 0.5 * (math.log(own / true[t]) + (true[t] + means) / own - 1)
    deviation = math.sqrt(true[1])

    def decoder(z):
        away = -math.sqrt(1 - bar[0]) / math.sqrt(bar[0]) * z
        cdf = [0.5 * (1 + math.erf((away + sign / 255) / deviation / math.sqrt(2))) for sign in (1, -1)]
        return -math.log(max(cdf[0] - cdf[1], 1e-12))
    return prior, divergence, mean_over_normal(decoder)


def evaluate(device, variance, base):
    with open(f"{base}/c.ini", "w", encoding="ascii") as file:
        file.write(CONFIG.format(folder=f"{base}/data", steps=STEPS, variance=variance))
    settings = ["--device", device, "--no-tune", "--quiet"]
    kiln("train", f"{base}/c.ini", "--out", f"{base}/{variance}", *settings)
    entries, _ = tensors(f"{base}/{variance}/checkpoint.safetensors")
    write_tensors(f"{base}/zeros.safetensors", {
        name: (dtype, shape, bytes(len(data))) for name, (dtype, shape, data) in entries.items()
        if not name.startswith(("optim.", "ema."))})
    return json.loads(kiln("eval", f"{base}/zeros.safetensors", "--config", f"{base}/c.ini", "--json",
                           *settings).stdout)


for device in devices():
    with folder() as base:
        os.mkdir(f"{base}/data")
        for i in range(200):
            write_png(f"{base}/data/{i}.png", [[GREY] * SIDE] * SIDE)
        for variance in ("fixed_large", "fixed_small")[:2 if device == "cpu" else 1]:
            found = evaluate(device, variance, base)
            terms = [nats / math.log(2) for nats in expected(variance)]
            for name, value in zip(("bits_prior", "bits_kl", "bits_decoder"), terms):
                bound = max(5 * found["standard_error"][name], 1e-5 * abs(value))
                print(f"{device} {variance} {name}: {found[name]:.4f}, expected {value:.4f} +- {bound:.4f}")
                check(abs(found[name] - value) <= bound, f"{device} {variance} {name}")
                check(bound < 0.1 * value, f"{device} {variance}: {name} is known to {bound} only")
            check(abs(found["bits_per_dim"] - sum(found[name] for name in
                      ("bits_prior", "bits_kl", "bits_decoder"))) < 1e-4, "the sum")
            errors = [v for k, v in found.items() if k.startswith("epsilon_error_t")]
            check(len(errors) == 9 and all(0.8 < v < 1.2 for v in errors), f"errors {errors}")
            check(0.9 < found["epsilon_error"] < 1.1, "the mean error")
finish()
