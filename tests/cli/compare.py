"""kiln compare: a training step on the processor and on its plain baseline.

compare.py KILN CONFIG_DIR
"""
import json
import pathlib
import subprocess
import sys

kiln, configs = sys.argv[1], pathlib.Path(sys.argv[2])


def run(*arguments):
    return subprocess.run([kiln, "compare", *arguments], capture_output=True, text=True, timeout=300)


def check(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")


result = run("cpu", "cpu:ref", str(configs / "tiny-vae.ini"), "--json", "--set", "train.batch_size=8")
check(result.returncode == 0, result.stderr)
report = json.loads(result.stdout)
values = report["values"]
print(f"{len(values)} values, worst unfused {report['worst_unfused']:.2e}, fused {report['worst_fused']:.2e}")
check(report["beyond"] == 0, "no value beyond its limit")
for fused in (False, True):
    ops = {value["op"] for value in values if value["fused"] == fused and value["node"]}
    check({"conv", "conv_weight_grad", "matmul"} <= ops, f"convolutions and products are compared: {ops}")
    states = {value["label"] for value in values if value["fused"] == fused and not value["node"]}
    check({"encoder.0.weight", "encoder.0.weight (moment 2)"} <= states, f"states are compared: {states}")
# other implementations of the same ops never agree in every bit
check(any(value["difference"] > 0 for value in values), "some values differ")

for arguments, status in ((("cpu", "nosuch", str(configs / "tiny-vae.ini")), 2),
                          (("cpu", "cpu", "nosuch.ini"), 2), (("cpu", "cpu"), 2)):
    result = run(*arguments)
    check(result.returncode == status and result.stderr.count("\n") == 1 and not result.stdout,
          f"{arguments}: {result.returncode} {result.stderr}")
