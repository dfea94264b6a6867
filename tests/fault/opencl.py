"""OpenCL calls that fail as on a device without memory, on one that was lost, or
whose compiler fails: training ends with one line, and a checkpoint that was
there stays whole. Where a call never returns, a second Ctrl-C ends it.

    opencl.py KILN LIBRARY CONFIG_DIR
"""
import json
import os
import signal
import subprocess
import sys
import time

from harness import (KILN, LIBRARY, SMALL, TINY, failures, finish, folder, judge, readable,
                     renew, run, train)

HINT = "train.batch_size"
# function, code, what the message says besides the function and the code
CASES = [
    ("clCreateBuffer", -4, HINT),
    ("clCreateBuffer", -61, HINT),
    ("clEnqueueNDRangeKernel", -4, HINT),
    ("clEnqueueNDRangeKernel", -5, HINT),
    ("clEnqueueNDRangeKernel", -36, "the device is lost"),
    ("clEnqueueWriteBuffer", -4, HINT),
    ("clEnqueueReadBuffer", -5, "the device is lost"),
    ("clEnqueueReadBuffer", -36, "the device is lost"),
    ("clBuildProgram", -11, "kernel does not build"),
    ("clFinish", -5, None),  # training calls it when all is saved: nothing is refused
]


def places(calls):
    """The first calls, one in the middle and the last."""
    return sorted({n for n in (1, 2, calls // 2, calls) if 0 < n <= calls})


def pattern(function, code):
    return "CL_BUILD_PROGRAM_FAILURE" if code == -11 else f"{function}: CL_[A-Z_]* .{code}\\)"


def attack(arguments, base, function, code, words):
    renew(base)
    clean = run(arguments, f"{function}:0:0", f"{base}/report")
    if clean.returncode or not clean.report:
        failures.append(f"{function}: without a fault: {clean.stderr}")
        return
    refused = 0
    for n in places(clean.report[0]):
        renew(base)
        label = f"{function} {n}: {code}"
        result = run(arguments, f"{function}:{n}:{code}", f"{base}/report")
        judge(label, result, base, words and f"(?=.*{words}).*{pattern(function, code)}")
        refused += result.returncode == 1
        readable(label, base, "cpu:ref")
    print(f"{function} {code}: {refused} refusals of {clean.report[0]} calls")
    if words and not refused:
        failures.append(f"{function} {code}: never refused")


def hang(arguments, base, function, first, second):
    """The driver hangs: a signal asks for the end, the next one is it."""
    renew(base)
    report = f"{base}/report"
    if os.path.exists(report):
        os.unlink(report)
    environment = dict(os.environ, LD_PRELOAD=LIBRARY, FAULT=f"{function}:1:1000",
                       FAULT_REPORT=report)
    process = subprocess.Popen([KILN, *map(str, arguments)], env=environment,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
    deadline = time.monotonic() + 200
    while not os.path.exists(report) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    label = f"{function} hangs, {first.name} and {second.name}"
    process.send_signal(first)
    try:
        process.wait(0.5)
        failures.append(f"{label}: the first ended it: {process.returncode}")
    except subprocess.TimeoutExpired:
        process.send_signal(second)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        failures.append(f"{label}: it goes on")
        process.kill()
    process.communicate()
    if process.returncode != -second:
        failures.append(f"{label}: exit status {process.returncode}")
    readable(label, base, "cpu:ref")
    print(f"{label}: {process.returncode}")


devices = json.loads(run(["devices", "--json"]).stdout)["devices"]
if not any(device["name"] == "opencl:0" for device in devices):
    print("no OpenCL device")
    sys.exit(77)
with folder() as base:
    train(base, "--device", "opencl:0")
    resume = ["train", TINY, "--device", "opencl:0", "--steps", 3, "--out", f"{base}/out",
              "--resume", *SMALL]
    for case in CASES:
        attack(resume, base, *case)
    hang(resume, base, "clEnqueueReadBuffer", signal.SIGINT, signal.SIGINT)
    hang(resume, base, "clFinish", signal.SIGINT, signal.SIGTERM)
finish()
