"""Bad data, checkpoints, devices and output paths, through whole commands.

    bad_files.py KILN PLUGIN_DIR
"""
import fcntl
import gzip
import json
import math
import os
import pty
import re
import resource
import struct
import subprocess
import tempfile
import termios
import time

from harness import KILN, check, expect, finish, run, save

CONFIG = """[model]
plugin = vae
[data]
source = shapes
image_size = 8
n_train = 64
n_test = 16
[network]
arch = mlp
latent_size = 2
[train]
batch_size = 8
steps = 4
sample_every = 0
[run]
device = cpu
tune_seconds = 0
"""
IDX = CONFIG.replace("source = shapes", "source = idx\nimages = x.gz\nlabels = y.gz")


def idx(sizes, data, magic=None):
    magic = magic if magic is not None else 0x800 + len(sizes)
    return struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + data


PICTURES = idx([64, 8, 8], bytes(64 * 64))
LABELS = idx([64], bytes(64))


def train(name, message, config=CONFIG, arguments=(), files=None, **options):
    expect(name, ["train", "c.ini", "--out", "run", *arguments], message,
           {"c.ini": config, **(files or {})}, **options)


def data(name, message, pictures=PICTURES, labels=LABELS):
    train(name, message, IDX, files={"x.gz": pictures, "y.gz": labels})


# --- data ---------------------------------------------------------------------------
train("data file missing", "c.ini:5: [data] images: x.gz: cannot open: No such file or directory",
      IDX)
data("empty", re.compile(r"^c.ini:5: \[data\] images: x.gz: "), b"")
data("wrong magic", re.compile(r"x.gz: .*"), idx([64, 8, 8], bytes(4096), 0x12345678))
data("labels as pictures", re.compile(r"x.gz: .*"), LABELS)
data("truncated", re.compile(r"x.gz: .*"), PICTURES[:-100])
data("truncated gzip", re.compile(r"x.gz: .*"), gzip.compress(PICTURES)[:-12])
data("sizes overflow", re.compile(r"x.gz: .*"), idx([2**31 - 1, 2**31 - 1, 2**31 - 1], b""))
data("no pictures", re.compile(r"x.gz: .*"), idx([0, 8, 8], b""))
data("fewer labels", re.compile(r"63"), labels=idx([63], bytes(63)))

for source, keys, message in (
        ("cifar10", "", "[data] folder: not set"),
        ("cifar10", "folder = none\n", "none/data_batch_1.bin"),
        ("images", "folder = none\n", "none"),
        ("safetensors", "images = none\n", "none: cannot open")):
    train(f"{source} without its files {keys}", re.compile(re.escape(message)),
          CONFIG.replace("source = shapes\n", f"source = {source}\n{keys}"))

# --- devices ---------------------------------------------------------------------------
train("unknown device", re.compile(r"^device cuda: there is no such device; there are cpu "),
      arguments=["--device", "cuda"])
train("device of the environment", re.compile(r"^device abc: there is no such device"),
      CONFIG.replace("device = cpu\n", ""), env={"KILN_DEVICE": "abc"})

# --- sizes ---------------------------------------------------------------------------------
train("absurd width", re.compile(r"^c.ini:\d+: \[network\]|^--set: \[network\] latent_size"),
      arguments=["--set", "network.latent_size=99999999999999999999"])
train("no steps", "--set: [train] steps: steps and epochs are both 0",
      CONFIG.replace("steps = 4\n", ""),
      arguments=["--set", "train.steps=0", "--set", "train.epochs=0"])

train("too many samples",
      "--set: [data] n_train: 2147483647 samples of 1 x 8 x 8 are too many",
      arguments=["--set", "data.n_train=2147483647"])


def little_memory():
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))


for sets in (["train.batch_size=1048576", "network.latent_size=60000"], ["sample.n=16777216",
             "train.sample_every=1"]):
    with tempfile.TemporaryDirectory() as folder:
        save(folder, "c.ini", CONFIG)
        result = run(folder, ["train", "c.ini", "--out", "run",
                              *[word for one in sets for word in ("--set", one)]],
                     preexec_fn=little_memory)
        check(f"more than the memory: {sets}", result.returncode == 1 and not result.stdout
              and result.stderr.count(b"\n") == 1 and re.search(b"memory|batch_size", result.stderr), result)
        check(f"no file: {sets}", not os.path.exists(f"{folder}/run/checkpoint.safetensors"))

# --- output paths --------------------------------------------------------------------------
expect("output is a file", ["train", "c.ini", "--out", "c.ini"],
       "c.ini: cannot create directory: Not a directory", {"c.ini": CONFIG})
expect("output cannot be made", ["train", "c.ini", "--out", "/proc/kiln"],
       re.compile(r"^/proc/kiln: cannot create directory: "), {"c.ini": CONFIG})

# --- checkpoints ------------------------------------------------------------------------------
with tempfile.TemporaryDirectory() as folder:
    save(folder, "c.ini", CONFIG)
    result = run(folder, ["train", "c.ini", "--out", "run", "--quiet"])
    check("training works", result.returncode == 0, result)
    with open(os.path.join(folder, "run", "checkpoint.safetensors"), "rb") as file:
        GOOD = file.read()

    # a run, its config and its checkpoint describe the same model
    result = run(folder, ["describe", "run"])
    save(folder, "again.ini", result.stdout)
    for name in ("c.ini", "run", "run/checkpoint.safetensors", "again.ini"):
        result = run(folder, ["describe", name, "--json"])
        about = json.loads(result.stdout) if result.returncode == 0 else {}
        phase = about.get("phases", [{}])[0]
        linear = [(64, 400), (400, 2), (400, 2), (2, 400), (400, 64)]
        check(f"describe {name}",
              about.get("n_parameters") == sum(math.prod(s["shape"]) for s in about["states"])
              == sum((i + 1) * o for i, o in linear)
              and about["config"]["train"]["batch_size"] == 8
              and 0 < phase["live_bytes"] <= phase["workspace_bytes"] and phase["steps"] > 0,
              result)
HEADER = 8 + struct.unpack("<Q", GOOD[:8])[0]


def sample(name, message, checkpoint=GOOD, arguments=(), **options):
    expect(name, ["sample", "w.safetensors", "-n", "2", "-o", "g.png", *arguments], message,
           {"w.safetensors": checkpoint}, **options)


expect("no run", ["sample", "nowhere"],
       "nowhere: cannot open: No such file or directory")
expect("a folder without a run", ["eval", "."],
       ".: no checkpoint.safetensors in this directory, and no config.json of a model")
sample("empty checkpoint", re.compile(r"^w.safetensors: "), b"")
sample("header only", re.compile(r"^w.safetensors: "), GOOD[:HEADER])
sample("truncated checkpoint", re.compile(r"^w.safetensors: "), GOOD[:-1])
sample("trailing bytes", re.compile(r"^w.safetensors: "), GOOD + b"\0")
sample("huge header", re.compile(r"^w.safetensors: "), b"\xff" * 8 + GOOD[8:])
sample("header is no JSON", re.compile(r"^w.safetensors: "), GOOD[:8] + b"[" + GOOD[9:])
sample("foreign file", re.compile(r"^w.safetensors: .*--config"),
       struct.pack("<Q", 64) + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(64)
       + bytes(4))
sample("other shapes", re.compile(r"^w.safetensors: does not fit the model \(5 differences\): "
                                  r"fc21.weight is \[2, 400\], expected \[3, 400\]; "),
       arguments=["--set", "network.latent_size=3"])
sample("unknown sampler", re.compile(r"^sampler xyzzy: "), arguments=["--sampler", "xyzzy"])
sample("no samples", '--number: [sample] n: expected a whole number in 1..16777216, got "0"',
       arguments=["-n", "0"])
sample("output folder missing", re.compile(r"nowhere: .*No such file or directory"),
       arguments=["-o", "nowhere/g.png"])
sample("noise missing", re.compile(r"none.safetensors: cannot open"),
       arguments=["--noise", "none.safetensors"])
sample("noise of other shapes", re.compile(r"w.safetensors.*noise"),
       arguments=["--noise", "w.safetensors"])

# --- noise from a file ------------------------------------------------------------------------
with tempfile.TemporaryDirectory() as folder:
    save(folder, "w.safetensors", GOOD)
    save(folder, "n.safetensors", struct.pack("<Q", 72)
         + b'{"noise":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]}}'.ljust(72)
         + struct.pack("<6f", 1, -1, 0, 0.5, 2, 0))
    result = run(folder, ["sample", "w.safetensors", "-n", "3", "--noise", "n.safetensors", "-o",
                          "g.png", "--quiet"])
    check("noise from a file", result.returncode == 0 and result.stdout == b"g.png\n"
          and not result.stderr, result)

# --- the file changes while it is read --------------------------------------------------------
with tempfile.TemporaryDirectory() as folder:
    for turn in range(8):
        save(folder, "w.safetensors", GOOD)
        process = subprocess.Popen([KILN, "sample", "w.safetensors", "-n", "2", "-o", "g.png",
                                    "--quiet"], cwd=folder, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(0.005 * turn)
        os.truncate(os.path.join(folder, "w.safetensors"), len(GOOD) // 2)
        text = process.communicate(timeout=60)[1]
        check(f"truncated in turn {turn}", process.returncode in (0, 2)
              and text.count(b"\n") == (process.returncode == 2), (process.returncode, text))

# --- readers and terminals ----------------------------------------------------------------------
with tempfile.TemporaryDirectory() as folder:
    save(folder, "w.safetensors", GOOD)
    save(folder, "c.ini", CONFIG)
    read, write = os.pipe()
    os.close(read)
    result = subprocess.run([KILN, "sample", "w.safetensors", "--json", "--quiet"], cwd=folder,
                            stdin=subprocess.DEVNULL, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    check("a reader that goes away", result.returncode == 0 and not result.stderr, result)
    for columns in (0, 1, 7, 4000):
        main, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 1, columns, 0, 0))
        environment = {key: value for key, value in os.environ.items() if key != "TERM"}
        process = subprocess.Popen([KILN, "train", "c.ini", "--out", f"run{columns}"], cwd=folder,
                                   env=environment, stdin=terminal, stdout=subprocess.DEVNULL,
                                   stderr=terminal)
        os.close(terminal)
        shown = b""
        try:
            while more := os.read(main, 4096):
                shown += more
        except OSError:  # the last writer has closed the terminal
            pass
        os.close(main)
        check(f"a terminal of {columns} columns", process.wait(60) == 0,
              (process.returncode, shown))

# --- a run that is there already ------------------------------------------------------------
with tempfile.TemporaryDirectory() as folder:
    save(folder, "c.ini", CONFIG)
    os.mkdir(os.path.join(folder, "run"))
    save(folder, "run/checkpoint.safetensors", GOOD)
    result = run(folder, ["train", "c.ini", "--out", "run"])
    check("an old run is kept", result.returncode == 2 and b"--resume" in result.stderr and
          result.stderr.count(b"\n") == 1, result)
    with open(os.path.join(folder, "run", "checkpoint.safetensors"), "rb") as file:
        check("its checkpoint is untouched", file.read() == GOOD)

finish()
