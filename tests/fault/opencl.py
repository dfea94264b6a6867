"""OpenCL calls that fail as on a device without memory, or on one that was
lost: training ends with one line, and a checkpoint that was there stays whole.

    opencl.py KILN LIBRARY CONFIG_DIR
"""
import json
import sys

from harness import SMALL, TINY, failures, finish, folder, judge, readable, renew, run, train

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
    ("clFinish", -5, None),  # training calls it when all is saved: nothing is refused
]


def places(calls):
    """The first calls, one in the middle and the last."""
    return sorted({n for n in (1, 2, calls // 2, calls) if 0 < n <= calls})


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
        judge(label, result, base, words and f"(?=.*{words}).*{function}: CL_[A-Z_]* .{code}\\)")
        refused += result.returncode == 1
        readable(label, base, "cpu:ref")
    print(f"{function} {code}: {refused} refusals of {clean.report[0]} calls")
    if words and not refused:
        failures.append(f"{function} {code}: never refused")


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
finish()
