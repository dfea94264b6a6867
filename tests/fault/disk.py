"""A disk that fails while a run is resumed: one line, and the checkpoint that was
there or the new one stays whole. And the order of syncs and renames, on which
it depends what a power cut leaves.

    disk.py KILN LIBRARY CONFIG_DIR
"""
import os

from harness import (SMALL, TINY, failures, finish, folder, judge, readable, renew, run, train)


def calls_of(report):
    path = f"{report}.calls"
    with open(path, encoding="utf-8") as file:
        lines = [line.split() for line in file]
    os.unlink(path)
    return lines


def check_order(calls, base):
    """Each file is on the disk before it gets its name, and its directory
    before the next one does."""
    renamed = []
    for i, call in enumerate(calls):
        if call[0] != "rename":
            continue
        old, new = map(os.path.realpath, call[1:])
        renamed.append(os.path.basename(new))
        if ["fsync", old] not in calls[:i]:
            failures.append(f"{new}: renamed before it was synced")
        if i + 1 == len(calls) or calls[i + 1] != ["fsync", os.path.dirname(new)]:
            failures.append(f"{new}: its directory is not synced after the rename")
    for name in ("config.ini", "checkpoint.safetensors"):
        if name not in renamed:
            failures.append(f"{name} was not written by a rename: {renamed}")


def attack(arguments, base, function):
    report = f"{base}/report"
    n, refused = 1, 0
    while True:
        renew(base)
        result = run(arguments, f"{function}:{n}", report)
        calls = calls_of(report)
        if n == 1 and not calls:
            failures.append(f"{function}: never called")
        if not result.report or not result.report[2]:
            break
        label = f"{function} {n}"
        if result.returncode != 1:
            failures.append(f"{label}: exit status {result.returncode}")
        judge(label, result, base, "Input/output error")
        readable(label, base, "cpu:ref")
        refused += 1
        n += 1
    print(f"{function}: {refused} refusals")
    if not refused:
        failures.append(f"{function}: never refused")


with folder() as base:
    base = os.path.realpath(base)
    train(base, "--device", "cpu:ref")
    resume = ["train", TINY, "--device", "cpu:ref", "--steps", 3, "--out", f"{base}/out",
              "--resume", *SMALL]
    renew(base)
    clean = run(resume, "fsync:0", f"{base}/report")
    if clean.returncode:
        failures.append(f"without a fault: {clean.stderr}")
    check_order(calls_of(f"{base}/report"), base)
    for function in ("fsync", "rename"):
        attack(resume, base, function)
finish()
