"""What a run writes, and what the commands make of it.

    files.py KILN CONFIG_DIR
"""
import json
import math
import os
import resource
import signal
import struct
import subprocess
import time

from harness import (KILN, TINY, check, devices, fails, finish, floats, folder, kiln, png_texts, read,
                     small, tensors, write_tensors)


def run_directory(device, out):
    names = sorted(os.listdir(out))
    check(names == ["checkpoint.safetensors", "config.ini", "lock", "log.jsonl", "samples-20.png",
                    "samples-40.png"], f"{device}: files {names}")
    lines = [json.loads(line) for line in read(f"{out}/log.jsonl").splitlines()]
    check([line["step"] for line in lines] == [1, 5, 10, 15, 20, 25, 30, 35, 40],
          f"{device}: logged steps")
    for key in ("loss", "reconstruction", "kl", "lr", "seconds", "images_per_s", "grad_norm"):
        check(all(isinstance(line.get(key), (int, float)) for line in lines), f"log: {key}")
    check(all(abs(line["loss"] - line["reconstruction"] - line["kl"]) < 1e-3 for line in lines),
          "log: loss is not reconstruction + kl")
    check(lines[-1]["loss"] < 0.8 * lines[0]["loss"], f"{device}: it does not learn")
    kiln("describe", f"{out}/config.ini")
    texts = png_texts(f"{out}/samples-40.png")
    check(texts.get("Step") == "40" and texts.get("Seed") == "0", f"PNG texts {texts}")


def checkpoint(device, out):
    entries, metadata = tensors(f"{out}/checkpoint.safetensors")
    check(metadata["format"] == "pt" and metadata["kiln_format"] == "1", "metadata: formats")
    check(metadata["step"] == "40" and metadata["seed"] == "0", "metadata: step, seed")
    check("[train]" in metadata["config"], "metadata: config")
    check(json.loads(metadata["data"])["channels"] == 1, "metadata: data")
    check(len(metadata["choices"]) == 16, "metadata: choices")
    weights = [name for name in entries if not name.startswith(("optim.", "ema."))]
    check(len(weights) == 14 and entries["encoder.0.weight"][1] == [8, 1, 4, 4], "weights")
    for name in weights:
        for slot in ("exp_avg", "exp_avg_sq"):
            moment = entries.get(f"optim.{name}.{slot}")
            check(moment is not None and moment[1] == entries[name][1], f"optim.{name}.{slot}")
    check(not any("run." in name or "sampler." in name for name in entries), "internal states")


def sampling(device, out, base):
    run = ["sample", out, "--device", device, "--no-tune", "--quiet"]
    def raw(name, *more):
        path = f"{base}/{name}.safetensors"
        result = kiln(*run, "--raw", path, *more)
        check(result.stdout.decode() == path + "\n", f"printed {result.stdout!r}")
        return tensors(path)[0]
    whole = raw("whole", "-n", 21)["samples"]
    check(whole[:2] == ("F32", [21, 1, 16, 16]), f"{device}: samples {whole[:2]}")
    check(all(0 <= value <= 1 for value in floats(whole)), "samples outside 0..1")
    check(raw("again", "-n", 21) == {"samples": whole}, f"{device}: not repeatable")
    batches = floats(raw("batches", "-n", 21, "--set", "train.batch_size=4")["samples"])
    check(max(abs(a - b) for a, b in zip(batches, floats(whole))) < 1e-5,
          f"{device}: samples depend on the batch size")
    check(raw("other", "-n", 21, "--seed", 1)["samples"] != whole, f"{device}: the seed is ignored")

    noise = [0.1 * (i % 17 - 8) for i in range(3 * 8)]
    path = f"{base}/noise.safetensors"
    write_tensors(path, {"noise": ("F32", [3, 8], struct.pack("<24f", *noise))})
    check(raw("noise0", "--noise", path)["samples"][1] == [3, 1, 16, 16], "noise: number")
    check(raw("noise1", "--noise", path) == raw("noise2", "--noise", path, "--seed", 5),
          "noise: the seed changes a deterministic sampler")
    write_tensors(path, {"noise": ("F32", [3, 9], struct.pack("<27f", *range(27)))})
    fails("noise of a wrong shape", [*run, "--noise", path], "noise", "[1, 8]")
    fails("no noise", [*run, "--noise", f"{out}/checkpoint.safetensors"], "noise")

    kiln(*run, "-o", f"{base}/s.png")
    texts = png_texts(f"{base}/s.png")
    check(texts["Command"].startswith("kiln sample ") and len(texts["Checkpoint"]) == 32,
          f"PNG texts {texts}")
    kiln(*run, "--interpolate", "-n", 16, "-o", f"{base}/i.png")
    result = json.loads(kiln(*run, "--json", "-n", 5).stdout)
    check(result["samples"] == 5 and result["image"] == f"{out}/samples.png", f"json {result}")
    fails("no classes", [*run, "--class", "all"], "takes no class")
    fails("unknown sampler", [*run, "--sampler", "ddim"], "prior")
    fails("no such directory", [*run, "-o", f"{base}/none/s.png"], "none")


def evaluation(device, out):
    run = ["eval", out, "--device", device, "--no-tune", "--quiet", "--json"]
    whole = json.loads(kiln(*run).stdout)
    check(whole["samples"] == 50 and whole["step"] == 40, f"eval {whole}")
    check(abs(whole["negative_elbo"] - whole["reconstruction"] - whole["kl"]) < 1e-3, "eval: sum")
    parts = json.loads(kiln(*run, "--set", "train.batch_size=7").stdout)
    check(abs(whole["negative_elbo"] - parts["negative_elbo"]) < 1e-3,
          f"{device}: figures depend on the batch size")
    streamed = json.loads(kiln(*run, "--set", "data.device_memory=0").stdout)
    check(whole["negative_elbo"] == streamed["negative_elbo"], f"{device}: eval streamed differs")
    result = json.loads(kiln("reconstruct", out, "--device", device, "--no-tune", "-n", 5,
                             "--json").stdout)
    check(result["samples"] == 5 and 0 < result["mean_squared_error"] < 0.2, f"{result}")


def streamed(device, out, base):
    """Batches that are gathered on the host give the same weights."""
    kiln(*small(device, f"{base}/streamed", 40, "--set", "data.device_memory=0"))
    a, b = (tensors(f"{path}/checkpoint.safetensors")[0] for path in (out, f"{base}/streamed"))
    check(a == b, f"{device}: streamed batches train other weights")


def steady_state(device, base):
    """More steps: as many waits, as much memory. So few that the host does not run ahead as
    far as a backend lets it before it waits (OpenCL: 64 small writes)."""
    results = []
    for steps in (10, 18):
        rare = [word for key in ("log", "checkpoint", "sample")
                for word in ("--set", f"train.{key}_every=1000")]
        out = kiln(*small(device, f"{base}/steady{steps}", steps, "--json", *rare)).stdout
        results.append(json.loads(out))
    short, long = results
    check(short["waits"] == long["waits"], f"{device}: waits {short['waits']}, {long['waits']}")
    check(short["device_bytes"] == long["device_bytes"] > 0, f"{device}: device memory grows")
    check(short["launches"] < long["launches"], f"{device}: launches")


def stats(device, base):
    plain, timed = f"{base}/plain", f"{base}/timed"
    counted = json.loads(kiln(*small(device, plain, 6, "--json")).stdout)
    result = json.loads(kiln(*small(device, timed, 6, "--json", "--stats")).stdout)
    check(read(f"{plain}/checkpoint.safetensors") == read(f"{timed}/checkpoint.safetensors"),
          f"{device}: --stats changes the training")
    check("stats" not in counted, "statistics that nobody asked for")
    for key in ("launches", "waits"):
        check(counted[key] == result[key], f"{device}: --stats: {key}")
    phase = result["stats"]["vae"]
    check(phase["executions"] == 6 and phase["launches"] >= phase["steps"] > 10, f"{phase}")
    kinds = {row["kind"]: row for row in phase["kinds"]}
    check(sum(row["steps"] for row in kinds.values()) == phase["steps"], "steps by kind")
    check(abs(sum(row["seconds"] for row in kinds.values()) - phase["seconds"]) < 1e-6, "seconds")
    check(kinds["conv"]["flops"] > 0 < kinds["conv"]["bytes"], "work of convolutions")
    table = kiln("sample", plain, "--device", device, "-n", 4, "--stats", "--no-tune").stdout
    check(table.startswith(b"sampling: ") and b"loop, pointwise" in table, f"{table!r}")


def averages(device, base):
    out = f"{base}/ema"
    kiln(*small(device, out, 20, "--set", "train.ema_decay=0.9"))
    entries, _ = tensors(f"{out}/checkpoint.safetensors")
    check(entries["ema.fc21.weight"][1] == entries["fc21.weight"][1], "ema is not saved")
    check(entries["ema.fc21.weight"] != entries["fc21.weight"], "ema equals the weights")
    bare = {name: entry for name, entry in entries.items()
            if not name.startswith(("ema.", "optim."))}
    mean = {name: entries["ema." + name] for name in bare}
    samples = {}
    for name, weights in (("raw", bare), ("mean", mean)):
        write_tensors(f"{base}/{name}.safetensors", weights)
        path = f"{base}/{name}-samples.safetensors"
        kiln("sample", f"{base}/{name}.safetensors", "--config", TINY, "--device", device,
             "--no-tune", "--quiet", "--raw", path)
        samples[name] = read(path)
    path = f"{base}/own-samples.safetensors"
    kiln("sample", out, "--device", device, "--no-tune", "--quiet", "--raw", path,
         "--set", "train.batch_size=64")
    check(read(path) == samples["mean"], f"{device}: samples are not from the average")
    check(read(path) != samples["raw"], "the average and the raw weights give the same samples")


def bad_files(device, out, base):
    run = ["--device", device, "--no-tune", "--quiet"]
    data = read(f"{out}/checkpoint.safetensors")
    entries, metadata = tensors(f"{out}/checkpoint.safetensors")
    path = f"{base}/bad.safetensors"

    def with_bytes(name, content, *words):
        with open(path, "wb") as file:
            file.write(content)
        fails(name, ["sample", path, *run], "bad.safetensors", *words)

    with_bytes("cut short", data[:-1])
    with_bytes("cut in the header", data[:100])
    with_bytes("empty", b"")
    with_bytes("long", data + b"\0")
    with_bytes("huge header", b"\xff" * 8 + data[8:])
    for name, change, words in (
            ("another format", {"kiln_format": "2"}, ["format"]),
            ("bad step", {"step": "-1"}, ["step"]),
            ("huge step", {"step": "9" * 30}, ["step"]),
            ("bad data", {"data": "[]"}, ["data"]),
            ("bad extents", {"data": json.dumps({"channels": 1 << 40})}, ["data"]),
            ("bad config", {"config": "[model]\nplugin = vae\nx = 1\n"}, ["x"])):
        write_tensors(path, entries, {**metadata, **change})
        fails(name, ["sample", path, *run], *words)
    bare = {name: entry for name, entry in entries.items() if not name.startswith("optim.")}
    write_tensors(path, bare)
    fails("a bare file without config", ["sample", path, *run], "--config")
    less = dict(bare)
    less["fc99.weight"] = less.pop("fc3.weight")
    write_tensors(path, less)
    fails("another network", ["sample", path, "--config", TINY, *run], "fc3.weight [256, 8] is missing",
          "fc99.weight")
    spoilt = dict(bare)
    dtype, shape, values = spoilt["fc3.bias"]
    spoilt["fc3.bias"] = (dtype, shape, struct.pack("<f", math.nan) + values[4:])
    write_tensors(path, spoilt)
    spoilt_run = [path, "--config", TINY, "-o", f"{base}/spoilt.png", *run]
    fails("weights that are not finite", ["sample", *spoilt_run], "fc3.bias", "--force")
    check(not os.path.exists(f"{base}/spoilt.png"), "a picture of weights that are not finite")
    result = kiln("sample", *spoilt_run, "--force")
    check("fc3.bias has values that are not finite" in result.text, f"--force: {result.text}")
    fails("another size", ["sample", out, "--set", "network.latent_size=9", *run], "[9, 256]")
    fails("no checkpoint", ["sample", base, *run], "checkpoint.safetensors")
    fails("no file", ["sample", f"{base}/none", *run], "none")


def one_at_a_time(device, base):
    """A second process on the directory of a run that goes on."""
    out = f"{base}/shared"
    first = subprocess.Popen([KILN, *map(str, small(device, out, 1000000))],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while first.poll() is None and not os.path.exists(f"{out}/log.jsonl"):
        time.sleep(0.01)
    fails("a run that goes on", small(device, out, 20, "--resume"), "in use by another process")
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=120)
    check(first.returncode == 130, f"the first process: {first.returncode}")


def bad_runs(device, out, base):
    fails("a run is there", small(device, out, 40), "--resume")
    fails("another seed", small(device, out, 60, "--resume", "--seed", 3), "seed")
    fails("another network", small(device, out, 60, "--resume", "--set", "network.latent_size=9"),
          "fc21.weight")
    check(tensors(f"{out}/checkpoint.safetensors")[1]["step"] == "40", "a failed resume saved")
    with open(f"{base}/file", "w", encoding="ascii"):
        pass
    fails("a file in the way", small(device, f"{base}/file", 5), "file")
    fails("below a file", small(device, f"{base}/file/run", 5), "file")
    fails("not finite", small(device, f"{base}/nan", 60, "--set", "train.learning_rate=1e9"),
          "not finite", "phase vae", "node")
    result = kiln(*small(device, out, 40, "--resume"))
    check(result.stdout.decode() == out + "\n", "nothing to do: the path is not printed")

    if device != "cpu":  # an OpenCL compiler may write files too
        return

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))
    full = f"{base}/full"
    fails("disk full", small(device, full, 20, "--set", "train.sample_every=0"), "full", status=1,
          preexec_fn=limit)
    check(not os.path.exists(f"{full}/checkpoint.safetensors"), "disk full: a partial file")


for name in devices():
    with folder() as base:
        out = f"{base}/run"
        result = kiln(*small(name, out, 40))
        check(result.stdout.decode() == out + "\n", f"printed {result.stdout!r}")
        run_directory(name, out)
        checkpoint(name, out)
        sampling(name, out, base)
        evaluation(name, out)
        streamed(name, out, base)
        steady_state(name, base)
        stats(name, base)
        averages(name, base)
        bad_files(name, out, base)
        bad_runs(name, out, base)
        one_at_a_time(name, base)
finish()
