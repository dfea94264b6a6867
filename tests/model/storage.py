"""run.storage = half: a U-Net's training takes less memory and the same course, on every device; sampling too.

    storage.py KILN CONFIG_DIR
"""
import json

from harness import CONFIGS, check, devices, finish, floats, folder, kiln, read, tensors

UNET = [f"{CONFIGS}/ddpm.ini", "--no-tune", "--quiet"]
for setting in ("data.source=shapes", "data.image_size=16", "data.n_train=64", "data.n_test=8", "train.batch_size=16",
                "train.log_every=1", "train.sample_every=0", "network.block_out_channels=16, 32, 32", "sample.n=4"):
    UNET += ["--set", setting]


def set_storage(storage):
    return ["--set", f"run.storage={storage}"]


def train(base, device, storage):
    out = f"{base}/{device}-{storage}"
    kiln("train", *UNET, "--device", device, "--steps", 12, "--out", out, *set_storage(storage))
    raw = f"{out}/raw.safetensors"
    kiln("sample", out, "--raw", raw, "--steps", 4, "--sampler", "ddim", "--device", device, "--quiet", "--no-tune",
         *set_storage(storage))
    losses = [json.loads(line)["loss"] for line in read(f"{out}/log.jsonl").splitlines()]
    return losses, floats(tensors(raw)[0]["samples"])


def workspace(device, storage):
    described = kiln("describe", UNET[0], *UNET[3:], "--quiet", "--json", "--device", device, *set_storage(storage)).stdout
    return max(phase["workspace_bytes"] for phase in json.loads(described)["phases"])


with folder() as base:
    for device in devices():
        (full, pictures), (half, likewise) = train(base, device, "float"), train(base, device, "half")
        error = max(abs(a - b) / abs(a) for a, b in zip(full, half))
        apart = sum(abs(a - b) for a, b in zip(pictures, likewise)) / len(pictures)
        bytes_full, bytes_half = workspace(device, "float"), workspace(device, "half")
        print(f"{device}: losses off by {error:.1e}, pictures by {apart:.1e}, {bytes_half} of {bytes_full} bytes")
        check(0 < error < 2e-3, f"{device}: losses off by {error:.1e}")
        check(apart < 1 / 255, f"{device}: pictures off by {apart:.1e}")
        check(bytes_half < bytes_full * 0.8, f"{device}: {bytes_half} of {bytes_full} bytes")
finish()
