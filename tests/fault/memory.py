"""Commands with a failing allocation: the n-th place in the program that
allocates, and the n-th allocation with all behind it, for growing n until the
command passes. KILN_FAULT_ALL=1 leaves none out (minutes).

    memory.py KILN LIBRARY CONFIG_DIR
"""
from harness import (SMALL, THOROUGH, TINY, failures, finish, folder, judge, readable,
                     renew, run, train)


def numbers(density):
    """1, 2, 3, ...; from density on with growing gaps."""
    n = 1
    while True:
        yield n
        n += 1 if THOROUGH else 1 + n // density


def log_of(run_directory):
    with open(f"{run_directory}/log.jsonl", encoding="utf-8") as file:
        return file.read()


def attack(name, arguments, base, mode, density, writes=False):
    """writes: the command goes on with out/, which must not lose anything."""
    renew(base)
    clean = run(arguments, "count", f"{base}/report")
    if clean.returncode or not clean.report or clean.report[0] < 20:
        failures.append(f"{name}: without a fault: {clean.returncode} {clean.report} "
                        f"{clean.stderr}")
        return
    refused = 0
    for n in numbers(density):
        renew(base)
        result = run(arguments, f"{mode}:{n}", f"{base}/report")
        if result.report and not result.report[2]:
            break
        label = f"{name}, {mode} {n}"
        judge(label, result, base)
        refused += result.returncode == 1
        if writes:
            readable(label, base, "cpu:ref")
        if writes and not log_of(f"{base}/out").startswith(log_of(f"{base}/run")):
            failures.append(f"{label}: lines of the log are lost")
    if result.returncode or not refused:
        failures.append(f"{name}: {refused} of {n} allocations failed it, at last "
                        f"{result.returncode}")
    print(f"{name}, {mode}: {refused} refusals up to {n} of {clean.report}")


with folder() as base:
    train(base, "--device", "cpu:ref")
    renew(base)
    new, out = f"{base}/new", f"{base}/out"
    commands = {
        "models": ["models", "vae", "--json"],
        "describe": ["describe", TINY, "--device", "cpu:ref"],
        "train cpu:ref": ["train", TINY, "--device", "cpu:ref", "--steps", 2, "--out", new, *SMALL],
        "train cpu": ["train", TINY, "--device", "cpu", "--steps", 2, "--out", new, *SMALL],
        "resume": ["train", TINY, "--device", "cpu:ref", "--steps", 3, "--out", out, "--resume",
                   *SMALL],
        "sample": ["sample", out, "--device", "cpu", "-n", 4, "--no-tune", "--quiet",
                   "-o", f"{out}/s.png", "--raw", f"{out}/s.safetensors"],
        "report": ["report", out],
    }
    for name, arguments in commands.items():
        writes = name == "resume"
        attack(name, arguments, base, "place", 8, writes)
    for name in ("train cpu:ref", "sample"):
        attack(name, commands[name], base, "from", 2)
finish()
