#!/usr/bin/env python3
"""Kiln's products and forward convolutions over OpenCL beside tinygrad's on the same device, in turns.

    DEV=CL tests/bench/opencl_peers.py build/kiln [--device opencl:0] [--rounds 3]

Run it with a Python that has tinygrad and numpy. Kiln's figures are those of kiln bench ops, which checks each result
first; tinygrad's kernels are compiled once and run from its captured graph (TinyJit), the least of the rounds' means.
Prints GFLOP/s of both and the geometric mean of the ratios.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy as np
from tinygrad import Device, Tensor, TinyJit

# kiln bench's name: batch, channels, side, features, kernel; or m, n, k
CONVOLUTIONS = {"conv 32->32 28x28 k3": (64, 32, 28, 32, 3), "conv 64->64 28x28 k3": (64, 64, 28, 64, 3),
                "conv 128->128 14x14 k3": (64, 128, 14, 128, 3), "conv 256->256 7x7 k3": (64, 256, 7, 256, 3),
                "conv 256->128 14x14 k3": (64, 256, 14, 128, 3)}
PRODUCTS = {"matmul 1024x1024x1024": (1024, 1024, 1024)}


def peer_seconds(step, *inputs):
    jit = TinyJit(lambda *x: step(*x).realize())
    for _ in range(3):
        jit(*inputs)
    Device[Device.DEFAULT].synchronize()
    n, start = 0, time.perf_counter()
    while time.perf_counter() - start < 1:
        jit(*inputs)
        Device[Device.DEFAULT].synchronize()
        n += 1
    return (time.perf_counter() - start) / n


def random(*shape):
    return Tensor(np.random.default_rng(0).standard_normal(shape, dtype=np.float32)).realize()


def peer(name):
    """Seconds and floating-point operations."""
    if name in PRODUCTS:
        m, n, k = PRODUCTS[name]
        return peer_seconds(lambda a, b: a @ b, random(m, k), random(k, n)), 2 * m * n * k
    batch, c, side, o, kernel = CONVOLUTIONS[name]
    seconds = peer_seconds(lambda x, w: x.conv2d(w, padding=kernel // 2), random(batch, c, side, side),
                           random(o, c, kernel, kernel))
    return seconds, 2 * batch * side * side * c * o * kernel * kernel


def kiln_gflops(path, device, name):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "ops.json"
        subprocess.run([path, "bench", "ops", "--device", device, "--only", name, "--json", out, "--quiet"], check=True,
                       stdout=subprocess.DEVNULL)
        ops = [op for op in json.loads(out.read_text())["ops"] if op["name"] == name]
    return ops[0]["gflops"], ops[0]["algorithm"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kiln")
    parser.add_argument("--device", default="opencl:0")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"tinygrad on {Device.DEFAULT}")
    ratios = []
    for name in [*CONVOLUTIONS, *PRODUCTS]:
        ours, theirs = [], []
        for _ in range(arguments.rounds):
            gflops, algorithm = kiln_gflops(os.path.abspath(arguments.kiln), arguments.device, name)
            seconds, flops = peer(name)
            ours.append(gflops)
            theirs.append(flops / seconds * 1e-9)
        ratios.append(max(ours) / max(theirs))
        print(f"{name:<26} kiln {max(ours):7.1f} ({algorithm})  tinygrad {max(theirs):6.1f}  ratio {ratios[-1]:.1f}", flush=True)
    print(f"convolutions: geometric mean {statistics.geometric_mean(ratios[:len(CONVOLUTIONS)]):.1f}; "
          f"product {ratios[-1]:.1f}")


main()
