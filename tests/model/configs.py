"""Every shipped config describes, and the large ones train a step and sample when made tiny.

    configs.py KILN CONFIG_DIR
"""
import glob
import os
import random

from harness import CONFIGS, check, finish, folder, kiln

SMALL = {"train.batch_size": 2, "data.n_train": 8, "data.n_test": 4, "sample.n": 2}
REFINENET = {"network.ngf": 4, "noise.num_scales": 2, "noise.steps_per_scale": 1}
LARGE = {
    "ddpm-cifar10": {"network.block_out_channels": "8, 8, 8, 8", "network.norm_num_groups": 4, "sample.steps": 2},
    "ncsn-paper": REFINENET,
    "ncsn-v1": REFINENET,
}


def write_cifar(base):
    """CIFAR-10's binary version with a few noisy pictures."""
    draw = random.Random(1)
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        with open(f"{base}/{name}.bin", "wb") as file:
            for label in range(4):
                file.write(bytes([label]) + draw.randbytes(3 * 32 * 32))


for path in sorted(glob.glob(f"{CONFIGS}/*.ini")):
    kiln("describe", path, "--config-only")
with folder() as base:
    write_cifar(base)
    for name, settings in LARGE.items():
        settings = {**SMALL, **settings}
        if name != "ncsn-v1":
            settings["data.folder"] = base
        sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        run = f"{base}/{name}"
        kiln("train", f"{CONFIGS}/{name}.ini", "--out", run, "--steps", 2, "--no-tune", "--quiet", "--device", "cpu", *sets)
        kiln("sample", run, "-o", f"{base}/{name}.png", "--no-tune", "--quiet", "--device", "cpu")
        check(os.path.getsize(f"{base}/{name}.png") > 0, f"{name}: no picture")
        print(f"{name}: two steps and a picture")
finish()
