"""run.matmul_precision = medium: a U-Net trains the same course with products of bfloat16, here by the kernels of a matrix
engine with plain code for its instruction.

    precision.py KILN CONFIG_DIR
"""
import json
import os

from harness import CONFIGS, check, devices, finish, folder, kiln, read

os.environ.update(KILN_OPENCL_FAMILY="gpu", KILN_OPENCL_ENGINE="mma")


def losses(base, device, precision):
    out = f"{base}/{precision}"
    kiln("train", f"{CONFIGS}/tiny-ddpm.ini", "--no-tune", "--quiet", "--device", device, "--steps", 6, "--out", out, "--set",
         "train.log_every=1", "--set", "train.sample_every=0", "--set", "train.batch_size=4", "--set",
         f"run.matmul_precision={precision}")
    return [json.loads(line)["loss"] for line in read(f"{out}/log.jsonl").splitlines()]


with folder() as base:
    for device in devices():
        if not device.startswith("opencl"):
            continue
        exact, rounded = losses(base, device, "highest"), losses(base, device, "medium")
        error = max(abs(a - b) / abs(a) for a, b in zip(exact, rounded))
        print(f"{device}: losses off by {error:.1e}")
        check(len(exact) == 6 and 1e-6 < error < 1e-2, f"{device}: losses off by {error:.1e}: {exact}, {rounded}")
finish()
