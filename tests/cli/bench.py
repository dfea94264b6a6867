"""kiln bench: every device at tiny shapes, the files that it writes, and comparisons.

bench.py KILN CONFIG_DIR
"""
import copy
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from page import check, check_page

kiln = sys.argv[1]


def run(*arguments, timeout=300, **environment):
    return subprocess.run([kiln, "bench", *arguments], capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **environment})


def refused(status, *arguments):
    result = run(*arguments)
    check(result.returncode == status and result.stderr.count("\n") == 1 and not result.stdout,
          f"{arguments}: {result.returncode} {result.stderr}")
    return result.stderr


TIMES = {"median": float, "p10": float, "p90": float, "samples": int, "dropped": int, "disturbed": bool}
OP = {"device": str, "name": str, "family": str, "algorithm": str, "layout": str, "flops": float, "bytes": float,
      "error": float, "times": TIMES, "failure": str, "gflops": float, "gbytes_per_second": float,
      "percent_of_peak": float}
DEVICE = {"name": str, "device": str, "type": str, "vendor": str, "platform": str, "driver": str, "version": str,
          "libraries": str, "threads": int, "compute_units": int, "clock_mhz": int, "memory_bytes": int,
          "peak_flops": float, "launch_seconds": float, "wait_seconds": float, "failure": str,
          "bandwidths": [{"bytes": float, "bytes_per_second": float}]}
MODEL = {"device": str, "name": str, "config": str, "parameters": int, "batch": int, "images_per_step": int,
         "step": TIMES, "sample": TIMES, "n_samples": int, "gate_steps": int, "loss": float, "reference": float,
         "tolerance": float, "gate_passed": bool, "cold_seconds": float, "warm_seconds": float, "device_bytes": int,
         "memory_bytes": int, "failure": str, "start_failure": str, "steps_per_second": float,
         "images_per_second": float, "samples_per_second": float}
# tests/bench/schema.md: null stands for what was not measured
SUITE = {"kind": str, "format": int, "suite": int, "kiln": str, "started": str, "quick": bool, "tuned": bool,
         "round_products": bool,
         "host": {"processor": str, "system": str, "governor": str, "cores": int, "clock_mhz": int,
                  "memory_bytes": int},
         "devices": [DEVICE], "ops": [OP], "models": [MODEL]}


def check_schema(value, schema, where):
    if value is None:
        return
    if isinstance(schema, dict):
        check(isinstance(value, dict) and set(value) == set(schema), f"{where} has the documented keys: {value}")
        for key in schema:
            check_schema(value[key], schema[key], f"{where}.{key}")
    elif isinstance(schema, list):
        check(isinstance(value, list), where)
        for i, entry in enumerate(value):
            check_schema(entry, schema[0], f"{where}[{i}]")
    elif schema is float:
        check(isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value),
              f"{where}: {value}")
    else:
        check(type(value) is schema, f"{where}: {value!r} is {schema}")


def measure(folder, device):
    """The results of the tiny operations on a device; None if there is no such device."""
    path = folder / f"{device.replace(':', '-')}.json"
    page = path.with_suffix(".html")
    result = run("ops", "--tiny", "--no-tune", "--quiet", "--device", device, "--json", str(path),
                 "--report", str(page))
    if device.startswith("opencl") and result.returncode == 2:
        print(f"{device}: not here: {result.stderr.strip()}")
        return None
    check(result.returncode == 0, result.stderr)
    suite = json.loads(path.read_text())
    check_schema(suite, SUITE, "file")
    ops = suite["ops"]
    families = {op["family"] for op in ops}
    check({"matmul", "conv", "conv input grad", "conv weight grad", "norm", "softmax", "attention", "pointwise",
           "reduction", "concat", "transpose"} == families, families)
    for op in ops:
        check(op["failure"] is None and op["times"]["samples"] > 0 and op["error"] <= 1, op)
        check(op["times"]["p10"] <= op["times"]["median"] <= op["times"]["p90"], op)
        check(op["name"] in result.stdout, f"{op['name']} is in the table")
    check(suite["devices"][0]["peak_flops"] > 0, "the peak is measured")
    text = check_page(page).text
    check("Kiln benchmark" in text and "matmul 19x21x23" in text, "the page shows the results")
    return path


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    paths = [path for path in (measure(folder, device) for device in ("cpu", "cpu:ref", "opencl:0")) if path]
    a = paths[0]
    suite = json.loads(a.read_text())

    # what was kept reads back to the same bytes, and shows the same
    again = folder / "again.json"
    result = run("--from", str(a), "--json", str(again), "--markdown")
    check(result.returncode == 0 and again.read_bytes() == a.read_bytes(), result.stderr)
    check("| matmul 19x21x23 |" in result.stdout and "|---|" in result.stdout, result.stdout)

    # comparisons: equal, slower, failed, of two devices, of other suites
    def variant(name, change):
        other = copy.deepcopy(suite)
        change(other)
        path = folder / name
        path.write_text(json.dumps(other))
        return str(path)

    def slow(other):
        times = other["ops"][0]["times"]
        for name in ("p10", "median", "p90"):
            times[name] *= 1.3

    def fail(other):
        other["ops"][1].update(times=None, failure="it <broke>")

    result = run("--compare", str(a), str(again))
    check(result.returncode == 0 and "1.000" in result.stdout, result)
    slower = variant("slower.json", slow)
    result = run("--compare", str(a), slower)
    check(result.returncode == 1 and result.stdout.count("SLOWER") == 1 and "1.300" in result.stdout, result)
    check(run("--compare", str(a), slower, "--threshold", "0.4").returncode == 0, "within the threshold")
    check(run("--compare", slower, str(a)).returncode == 0, "faster is no failure")
    result = run("--compare", str(a), variant("failed.json", fail))
    check(result.returncode == 1 and "it <broke>" in result.stdout, result)
    if len(paths) > 1:
        result = run("--compare", str(a), str(paths[1]), "--threshold", "1000")
        check(result.returncode == 0 and "cpu, cpu:ref" in result.stdout, result)
    check("suite" in refused(2, "--compare", str(a), variant("v.json", lambda other: other.update(suite=99))), "suite")
    refused(2, "--compare", str(a), variant("f.json", lambda other: other.update(format=99)))
    refused(2, "--compare", str(a), variant("d.json", lambda other: other["ops"][0].pop("name")))
    refused(2, "--compare", str(a), str(folder / "missing.json"))
    refused(2, "--compare", str(a))
    refused(2, "--compare", str(a), str(a), "--threshold", "-1")

    # a file from before a key was added; rounded products, with plain code for a matrix engine
    result = run("--compare", str(a), variant("old.json", lambda other: other.pop("round_products")))
    check(result.returncode == 0, result.stderr)
    refused(2, "ops", "--matmul-precision", "low")
    if any("opencl" in path.name for path in paths):
        path = folder / "medium.json"
        result = run("ops", "--tiny", "--no-tune", "--quiet", "--device", "opencl:0", "--json", str(path), "--only", "m",
                     "--matmul-precision", "medium", KILN_OPENCL_FAMILY="gpu", KILN_OPENCL_ENGINE="mma")
        medium = json.loads(path.read_text())
        check(result.returncode == 0 and medium["round_products"] and "precision medium" in result.stdout, result)
        check(any(op["algorithm"].startswith("engine") and 1e-6 < op["error"] <= 1 for op in medium["ops"]), medium)

    # a failure has its reason in every form, and is never a 0
    page = folder / "failed.html"
    result = run("--from", str(folder / "failed.json"), "--report", str(page))
    check("it <broke>" in result.stdout and "it <broke>" in check_page(page).text, result)

    before = sorted(os.listdir(folder))
    refused(2, "ops", "--only", "no such thing", "--quiet")
    refused(2, "everything")
    refused(2, "ops", "--tiny", "--device", "no such device", "--quiet")
    check(sorted(os.listdir(folder)) == before, "failures leave no files")

    # one model: the gate, its rates, and the start of a new process
    result = run("models", "--only", "ncsn-points", "--no-tune", "--device", "cpu", "--quiet", "--json", str(again))
    check(result.returncode == 0, result.stderr)
    suite = json.loads(again.read_text())
    check_schema(suite, SUITE, "file")
    model = suite["models"][0]
    check(model["gate_passed"] and model["failure"] is None and model["start_failure"] is None, model)
    check(model["cold_seconds"] > 0 and model["warm_seconds"] > 0 and model["device_bytes"] > 0 and
          model["memory_bytes"] > 0 and model["images_per_second"] > 0 and model["samples_per_second"] > 0, model)
print("ok")
