#!/usr/bin/env python3
"""How the cost of an image grows: with the batch of a training step, and with the pictures' side.

    tests/bench/scaling.py build/kiln [--device cpu] [--rounds 3] [--config ddpm.ini ...]

Trains a few steps of each config at batches from 16 to 256 and prints the cost of an image over the best batch's (bar
1.25); then of the U-Net without attention at sides 16, 32 and 64, batch 16, and prints the cost over that of half the
side (bar 4.6; the arithmetic grows by 4). The least of the rounds, which go round all sizes.
"""
import argparse
import os
import tempfile

from kiln_steps import Kiln

BATCHES, SIDES = (16, 32, 64, 128, 256), (16, 32, 64)
IMAGES = {"vae.ini": 128 * 256, "wgan.ini": 16 * 256, "wgan-gp.ini": 16 * 256}
WITHOUT_ATTENTION = ["network.down_block_types=DownBlock2D, DownBlock2D, DownBlock2D", "data.source=shapes",
                     "network.up_block_types=UpBlock2D, UpBlock2D, UpBlock2D", "network.add_attention=false",
                     "data.n_train=512", "data.n_test=16", "train.batch_size=16"]


def least(kiln, config, sizes, sets_of, steps_of, rounds):
    """{size: least seconds of a step}"""
    times = {}
    for _ in range(rounds + 1):  # the first measures choices and builds programs
        for size in sizes:
            seconds = kiln.train("run", config, sets_of(size), steps_of(size))
            times[size] = min(times.get(size, seconds), seconds)
    return times


def batches(kiln, config, rounds):
    gan = ["train.critic_steps=1", "train.critic_warmup=false"] if "wgan" in config else []
    times = least(kiln, config, BATCHES, lambda b: [f"train.batch_size={b}", *gan],
                  lambda b: max(6, IMAGES.get(config, 1024) // b), rounds)
    costs = {b: seconds / b for b, seconds in times.items()}
    best = min(costs.values())
    print(f"{config:<20}" + "".join(f"  {b}: {costs[b] * 1e3:.3f} ms ({costs[b] / best:.2f})" for b in BATCHES)
          + f"   worst {max(costs.values()) / best:.2f}", flush=True)


def sides(kiln, rounds):
    times = least(kiln, "ddpm.ini", SIDES, lambda s: [*WITHOUT_ATTENTION, f"data.image_size={s}"],
                  lambda s: max(6, 96 * 256 // s**2), rounds)
    for half, side in zip(SIDES, SIDES[1:]):
        print(f"U-Net, {half} -> {side} pixels: {times[half] * 1e3:.1f} -> {times[side] * 1e3:.1f} ms, "
              f"{times[side] / times[half]:.2f} times", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kiln")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--config", nargs="*", default=["vae.ini", "wgan.ini", "wgan-gp.ini", "ddpm.ini", "ncsn.ini",
                                                        "cdiff-context.ini"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kiln-scaling-") as folder:
        kiln = Kiln(os.path.abspath(arguments.kiln), arguments.device, folder)
        for config in arguments.config:
            batches(kiln, config, arguments.rounds)
        sides(kiln, arguments.rounds)


main()
