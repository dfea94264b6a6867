#!/usr/bin/env python3
"""Training steps of the shipped configs on two devices, in turns, by the clock of the program's own log.

    tests/bench/device_steps.py build/kiln [cpu opencl:0] [--config vae.ini ddpm.ini ...] [--rounds 3]

Prints the medians in ms and the first device's over the second's; the least of each in brackets.
"""
import argparse
import statistics
import tempfile

from kiln_steps import Kiln

STEPS = {"vae.ini": 2000, "gan.ini": 12, "ddpm.ini": 12, "ncsn.ini": 10, "cdiff-context.ini": 8}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kiln")
    parser.add_argument("devices", nargs="*", default=["cpu", "opencl:0"])
    parser.add_argument("--config", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    first, second = arguments.devices
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for config in arguments.config:
            times = {device: [] for device in (first, second)}
            for _ in range(arguments.rounds):
                for device, measured in times.items():
                    measured.append(1e3 * Kiln(arguments.kiln, device, folder).train("run", config, [], STEPS[config]))
            a, b = (statistics.median(times[device]) for device in (first, second))
            least = min(times[first]), min(times[second])
            ratios.append(a / b)
            print(f"{config:<18} {first} {a:8.2f} ({least[0]:.2f})   {second} {b:8.2f} ({least[1]:.2f})   ratio "
                  f"{a / b:.2f} ({least[0] / least[1]:.2f})", flush=True)
    print(f"geometric mean {statistics.geometric_mean(ratios):.2f}")


main()
