"""Training takes the same course on every device: losses of 50 steps.

    devices.py KILN CONFIG_DIR
"""
import json

from harness import check, devices, finish, folder, kiln, read, small

ARCHITECTURES = {"conv": [], "mlp": ["--set", "network.arch=mlp", "--set", "network.hidden_size=64"]}
names = devices()


def losses(device, out, settings):
    kiln(*small(device, out, 50, "--set", "train.sample_every=0", "--set", "train.log_every=1",
                *settings))
    return [json.loads(line)["loss"] for line in read(f"{out}/log.jsonl").splitlines()]


for arch, settings in ARCHITECTURES.items():
    with folder() as base:
        expected = losses("cpu:ref", f"{base}/ref", settings)
        check(len(expected) == 50, f"{arch}: {len(expected)} logged steps")
        for device in names:
            found = losses(device, f"{base}/{device}", settings)
            errors = [abs(a - b) / abs(a) for a, b in zip(expected, found)]
            check(errors[0] < 1e-5, f"{arch} on {device}: first step off by {errors[0]:.1e}")
            check(max(errors) < 1e-3, f"{arch} on {device}: off by {max(errors):.1e}")
            print(f"{arch} on {device}: first {errors[0]:.1e}, worst {max(errors):.1e}")
finish()
