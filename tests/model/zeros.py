"""A state_dict of zeros through eval: figures known in closed form.

    zeros.py KILN CONFIG_DIR

A Bernoulli that has learnt nothing is a bit, ln 2, per pixel; the noise that is left to predict is 1 per number, and
half of that in score matching.
"""
import json
import math
import os

from harness import CONFIGS, check, finish, folder, kiln, tensors, write_tensors

UNET = {"network.block_out_channels": "8, 8", "network.norm_num_groups": 4, "network.layers_per_block": 1}
CASES = {  # config: settings, figures
    "vae": ({}, {"negative_elbo": 784 * math.log(2), "reconstruction": 784 * math.log(2), "kl": 0}),
    "ddpm": (UNET, {"epsilon_error": 1}),
    "cdiff": (UNET, {"epsilon_error": 1}),
    "ncsn": ({"network.ngf": 4}, {"dsm_loss": 784 / 2}),
}
BUFFERS = ("sigmas",)


def zeroed(run, path):
    """Writes the run's weights, all 0, as a file that knows nothing of the run."""
    entries, _ = tensors(f"{run}/checkpoint.safetensors")
    write_tensors(path, {name: (dtype, shape, data if name in BUFFERS else bytes(len(data)))
                         for name, (dtype, shape, data) in entries.items()
                         if not name.startswith(("optim.", "ema."))})


for name, (settings, figures) in CASES.items():
    settings = {"data.source": "shapes", "data.image_size": 28, "data.n_train": 64, "data.n_test": 64,
                "train.batch_size": 16, "train.sample_every": 0, **settings}
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    with folder() as base:
        run = f"{base}/run"
        kiln("train", f"{CONFIGS}/{name}.ini", "--out", run, "--steps", 1, "--no-tune", "--quiet", "--device", "cpu", *sets)
        zeroed(run, f"{base}/zeros.safetensors")
        found = json.loads(kiln("eval", f"{base}/zeros.safetensors", "--config", os.path.join(run, "config.ini"),
                                "--no-tune", "--quiet", "--json", "--device", "cpu").stdout)
    for figure, expected in figures.items():
        error = abs(found[figure] - expected)
        bound = max(5 * found["standard_error"][figure], 1e-6 * expected)
        check(error <= bound, f"{name}: {figure} {found[figure]}, expected {expected}")
        check(bound <= 0.05 * max(expected, 1e-9), f"{name}: {figure} is known no better than to {bound}")
        print(f"{name}: {figure} {found[figure]:.4f}, expected {expected:.4f}")
finish()
