"""A run that was stopped, killed or cut short and resumed gives the bytes of one
that was not.

    resume.py KILN CONFIG_DIR [KILLS]
"""
import os
import random
import signal
import subprocess
import sys
import time

from harness import KILN, check, devices, finish, folder, kiln, read, small

STEPS = 60
kills = int(sys.argv[3]) if len(sys.argv) > 3 else 15
random.seed(1)


def same(a, b, what):
    check(read(f"{a}/checkpoint.safetensors") == read(f"{b}/checkpoint.safetensors"), what)


def in_parts(device, base, whole):
    """20 + 40 steps."""
    out = f"{base}/parts"
    kiln(*small(device, out, 20))
    text = kiln(*small(device, out, STEPS, "--resume")).text
    check(text == "", f"{device}: resuming warns: {text!r}")
    same(out, whole, f"{device}: 20 + 40 steps differ from {STEPS}")
    steps = [line.split(b",")[0] for line in read(f"{out}/log.jsonl").splitlines()]
    expected = [line.split(b",")[0] for line in read(f"{whole}/log.jsonl").splitlines()]
    check(steps == expected, f"{device}: the log of the resumed run has other steps")


def terminated(device, base, whole):
    """SIGTERM and SIGINT at a random moment: saved, exit status 130."""
    for number in (signal.SIGTERM, signal.SIGINT):
        out = f"{base}/{number.name}"
        process = subprocess.Popen([KILN, *map(str, small(device, out, STEPS))],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while process.poll() is None and not os.path.exists(f"{out}/log.jsonl"):
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.05))
        process.send_signal(number)
        _, text = process.communicate(timeout=60)
        if process.returncode == 0:  # it was faster than the signal
            same(out, whole, f"{device}: a run that a late {number.name} met differs")
            continue
        check(process.returncode == 130, f"{device}: {number.name}: {process.returncode}")
        check(b"--resume" in text or b"before the first step" in text,
              f"{device}: {number.name}: it is not said how to go on: {text!r}")
        kiln(*small(device, out, STEPS, "--resume"))
        same(out, whole, f"{device}: {number.name} and resumed differs")


def killed(device, base, whole):
    """kill -9 at random moments, most of them while a checkpoint is written."""
    out = f"{base}/killed"
    command = [KILN, *map(str, small(device, out, STEPS, "--resume", "--set",
                                     "train.checkpoint_every=1"))]
    start = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - start
    reference = read(f"{out}/checkpoint.safetensors")
    for name in os.listdir(out):
        os.remove(f"{out}/{name}")
    done = 0
    while done < kills:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            process.wait(random.uniform(0.2, 1) * seconds)
        except subprocess.TimeoutExpired:
            process.kill()
        text = process.communicate()[1]
        check(process.returncode in (0, -9), f"{device}: killed: {process.returncode} {text!r}")
        done += process.returncode == -9
        if process.returncode == 0:
            check(read(f"{out}/checkpoint.safetensors") == reference,
                  f"{device}: killed and resumed differs")
            for name in os.listdir(out):
                os.remove(f"{out}/{name}")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    check(read(f"{out}/checkpoint.safetensors") == reference, f"{device}: the last run differs")
    strange = [name for name in os.listdir(out) if name.startswith(".")]
    check(not strange, f"{device}: left behind: {strange}")
    print(f"{device}: {done} kills")


for name in devices():
    with folder() as base:
        whole = f"{base}/whole"
        kiln(*small(name, whole, STEPS))
        in_parts(name, base, whole)
        terminated(name, base, whole)
        killed(name, base, whole)
finish()
