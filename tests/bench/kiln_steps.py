"""Times of Kiln's training and sampling steps, by the program's own clock."""
import json
import pathlib
import shutil
import subprocess

CONFIG = pathlib.Path(__file__).parents[2] / "config"
CHILD_MEMORY = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


class Kiln:
    """Runs in a folder, on a device. sets: overrides, "section.key=value"."""

    def __init__(self, path, device, folder, threads=2):
        self.path, self.device, self.folder = path, device, pathlib.Path(folder)
        self.sets = ["train.sample_every=0", "train.checkpoint_every=0", f"run.threads={threads}"]

    def command(self, name, config, sets, steps):
        sets = [*self.sets, f"train.log_every={max(1, steps // 4)}", *sets]
        return [self.path, "train", CONFIG / config, "--out", self.folder / name, "--device", self.device, "--quiet",
                "--steps", str(steps), *(word for s in sets for word in ("--set", s))]

    def train(self, name, config, sets, steps):
        """Seconds of a step, the first quarter of the steps left out. The run stays in the folder for sampling."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        subprocess.run(self.command(name, config, sets, steps), check=True, stdout=subprocess.DEVNULL)
        lines = [json.loads(line) for line in (self.folder / name / "log.jsonl").read_text().splitlines()]
        lines = [line for line in lines if line["step"] >= steps // 4]
        return (lines[-1]["seconds"] - lines[0]["seconds"]) / (lines[-1]["step"] - lines[0]["step"])

    def sample(self, name, *arguments):
        """Seconds of sampling, without the start of the process and the writing of files."""
        command = [self.path, "sample", self.folder / name, "--device", self.device, "--quiet", "--json", "--raw",
                   self.folder / "raw.safetensors", *arguments]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["seconds"]

    def memory(self, name, config, sets, steps=6):
        """Largest resident size in MiB of a process that trains."""
        command = ["python3", "-c", CHILD_MEMORY, *map(str, self.command(name, config, sets, steps))]
        return int(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.split()[-1]) / 1024
