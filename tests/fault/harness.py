"""Running kiln with a preloaded library that makes calls fail.

    TEST.py KILN LIBRARY CONFIG_DIR

A failure must end with exit status 1 and one line on stderr, and leave neither
a temporary file nor a damaged one. One that Kiln gets over (an optional
algorithm less, a cache not read) ends with 0.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

KILN, LIBRARY, CONFIGS = (os.path.abspath(argument) for argument in sys.argv[1:4])
TINY = os.path.join(CONFIGS, "tiny-vae.ini")
SMALL = ["--no-tune", "--quiet", "--set", "data.n_train=32", "--set", "data.n_test=16",
         "--set", "train.batch_size=8", "--set", "train.sample_every=1", "--set", "sample.n=4"]
THOROUGH = bool(os.environ.get("KILN_FAULT_ALL"))
failures = []
count = 0


def run(arguments, fault=None, report=None):
    """The finished process, with the numbers of its report as .report."""
    environment = dict(os.environ)
    if fault:
        environment.update(LD_PRELOAD=LIBRARY, FAULT=fault, FAULT_REPORT=report)
        if os.path.exists(report):
            os.unlink(report)
    result = subprocess.run([KILN, *map(str, arguments)], env=environment, timeout=300,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, errors="replace")
    result.report = None
    if fault and os.path.exists(report):
        with open(report, encoding="ascii") as file:
            result.report = [int(word) for word in file.read().split()]
    return result


def temporary_files(folder):
    return [name for _, _, names in os.walk(folder) for name in names
            if re.match(r"\..*\.kiln-\d", name)]


def judge(name, result, folder, message=None):
    """message: a pattern that the line of a failure matches."""
    global count
    count += 1
    problems = []
    if result.returncode not in (0, 1):
        problems.append(f"exit status {result.returncode}")
    lines = result.stderr.splitlines()
    if result.returncode == 1 and (len(lines) != 1 or not lines[0].startswith("kiln: ")):
        problems.append("not one line")
    if result.returncode == 1 and message and not re.search(message, result.stderr):
        problems.append(f"does not say {message}")
    if temporary_files(folder):
        problems.append(f"left {temporary_files(folder)}")
    if problems:
        failures.append(f"{name}: {'; '.join(problems)}: {result.stderr[:400]!r}")
    return not problems


def train(folder, *more):
    """A run of two steps that later commands start from."""
    result = run(["train", TINY, "--out", f"{folder}/run", "--steps", 2, *SMALL, *more])
    if result.returncode:
        sys.exit(f"training without a fault: {result.stderr}")


def renew(folder):
    """What a command writes is gone, and out/ is a fresh copy of the trained run."""
    for name in ("new", "out"):
        shutil.rmtree(f"{folder}/{name}", ignore_errors=True)
    shutil.copytree(f"{folder}/run", f"{folder}/out")


def readable(name, folder, device):
    """What lies in the run's directory is whole: it can be sampled from."""
    for run_directory in ("new", "out"):
        path = f"{folder}/{run_directory}/checkpoint.safetensors"
        if not os.path.exists(path):
            continue
        result = run(["sample", path, "--device", device, "-n", 1, "-o", f"{folder}/whole.png",
                      "--quiet", "--no-tune"])
        if result.returncode:
            failures.append(f"{name}: its checkpoint: {result.stderr!r}")


def folder():
    return tempfile.TemporaryDirectory(prefix="kiln-fault-")


def finish():
    for failure in failures:
        print(failure)
    print(f"{count - len(failures)} of {count} passed")
    sys.exit(1 if failures else 0)
