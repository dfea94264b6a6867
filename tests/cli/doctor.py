"""kiln doctor and kiln devices under broken OpenCL installations.

doctor.py KILN SCRATCH
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys

kiln, scratch = sys.argv[1], pathlib.Path(sys.argv[2])
shutil.rmtree(scratch, ignore_errors=True)
vendors = scratch / "vendors"
vendors.mkdir(parents=True)
cache = scratch / "cache"
cache.mkdir(mode=0o700)
failures = 0


def run(*arguments, **variables):
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "OCL_ICD_VENDORS": str(vendors), **variables}
    environment = {key: value for key, value in environment.items() if value is not None}
    return subprocess.run([kiln, *arguments], env=environment, capture_output=True, text=True, timeout=120)


def doctor(**variables):
    result = run("doctor", "--json", **variables)
    if result.returncode != 0:
        sys.exit(f"kiln doctor: exit status {result.returncode}: {result.stderr}")
    return json.loads(result.stdout)


def expect(condition, what, report):
    global failures
    if not condition:
        failures += 1
        print(f"FAILED: {what}:\n{json.dumps(report, indent=1)}")


def finds(report, kind, *parts):
    return any(f["kind"] == kind and all(p in f["name"] + ": " + f["text"] for p in parts) for f in report["findings"])


def advises(report, part):
    return any(part in line for line in report["advice"])


report = doctor()
expect(finds(report, "problem", "no driver is registered"), "an empty folder of drivers", report)
expect(advises(report, "pocl-opencl-icd"), "advice without a driver", report)
expect(not report["opencl"], "no device", report)

(vendors / "gone.icd").write_text("libkiln_test_gone.so.7\n")
report = doctor()
expect(finds(report, "problem", "gone.icd", "libkiln_test_gone.so.7", "cannot open shared object file"),
       "a driver whose library is missing", report)
expect(advises(report, "reinstall the driver"), "advice for a missing library", report)

(vendors / "gone.icd").unlink()
(vendors / "rusticl.icd").write_text("libRusticlOpenCL.so.1\n")
report = doctor(RUSTICL_ENABLE=None)
expect(finds(report, "note", "rusticl.icd", "RUSTICL_ENABLE"), "rusticl without its variable", report)
expect(advises(report, "RUSTICL_ENABLE=radeonsi"), "advice for rusticl", report)
(vendors / "rusticl.icd").unlink()

report = doctor(POCL_CACHE_DIR="/proc/nowhere")
expect(finds(report, "problem", "/proc/nowhere", "PoCL"), "PoCL's folder", report)
expect(advises(report, "POCL_CACHE_DIR"), "advice for PoCL's folder", report)
report = doctor(XDG_CACHE_HOME="/proc/nowhere")
expect(finds(report, "problem", "Kiln's"), "Kiln's folder", report)

# The processor is there whatever OpenCL does.
result = run("devices", "--json")
names = [device["name"] for device in json.loads(result.stdout)["devices"]]
expect(result.returncode == 0 and names[:2] == ["cpu", "cpu:ref"], "devices without OpenCL", names)
result = run("devices", KILN_BACKEND_PATH="/nowhere")
expect(result.returncode == 0 and result.stdout.startswith("cpu "), "devices in text", result.stdout)
result = run("doctor")
expect(result.returncode == 0 and "What to do" in result.stdout, "doctor in text", result.stdout)

sys.exit(1 if failures else 0)
