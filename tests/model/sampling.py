"""Ways to sample: painting into a picture, animations, interpolations, classes.

    sampling.py KILN CONFIG_DIR
"""
import os
import struct

from harness import (check, devices, fails, finish, floats, folder, kiln, png_chunks, png_texts,
                     tensors, write_png)

SHAPES = "[data]\nsource = shapes\nimage_size = 16\nn_train = 40\nn_test = 10\n"
UNET = ("[network]\nblock_out_channels = 4, 8\nlayers_per_block = 1\nnorm_num_groups = 2\n"
        "attention_head_dim = 4\n")
TRAIN = ("[train]\nbatch_size = 8\nsteps = 2\noptimizer = adam\nlearning_rate = 1e-3\n"
         "sample_every = 0\n[sample]\nn = 8\n")
NOISE = "[noise]\nsigma_begin = 4\nsigma_end = 0.1\nnum_scales = 5\nsteps_per_scale = 2\n"
CONFIGS = {
    "ddpm": SHAPES + UNET + "[scheduler]\nnum_train_timesteps = 20\n" + TRAIN,
    "cdiff": SHAPES + UNET + "[scheduler]\nnum_train_timesteps = 20\n" + TRAIN,
    "ncsn": SHAPES + UNET.replace("[network]", "[network]\narch = unet") + NOISE + TRAIN,
    "wgan": SHAPES + "[network]\nfeatures = 4\nlatent_size = 6\n[train]\ncritic_warmup = false\n"
            + TRAIN.replace("[train]\n", ""),
    "points": "[data]\nsource = points\nmixture = 0.5 -3 0 1 | 0.5 3 0 1\nn_train = 64\n"
              "n_test = 8\n[network]\narch = mlp\nngf = 8\n" + NOISE + "step_size = 0.01\n" + TRAIN,
}
SAMPLERS = {
    "ddpm": ["ddim", "ddpm", "dpmpp_2m", "heun", "euler", "euler_ancestral", "pndm"],
    "cdiff": ["ddim"],
    "ncsn": ["ald", "pc", "langevin"],
}
SIZE = 16
# a picture that no model would draw, and the square that is painted
PICTURE = [[(37 * x + 91 * y) % 256 for x in range(SIZE)] for y in range(SIZE)]
MASK = [[255 * (4 <= x < 12 and 3 <= y < 10) for x in range(SIZE)] for y in range(SIZE)]


def train(name, device, base):
    path, plugin = f"{base}/{name}.ini", "ncsn" if name == "points" else name
    with open(path, "w", encoding="ascii") as file:
        file.write(f"[model]\nplugin = {plugin}\n{CONFIGS[name]}")
    kiln("train", path, "--device", device, "--out", f"{base}/{name}", "--no-tune", "--quiet")


def sampler(name, device, base):
    """A function that samples and returns the numbers, a list a sample, and the labels."""
    def draw(*more):
        path = f"{base}/raw.safetensors"
        kiln("sample", f"{base}/{name}", "--device", device, "--no-tune", "--quiet", "--raw", path,
             "--set", "run.threads=1", *more)
        entries, _ = tensors(path)
        n, values = entries["samples"][1][0], floats(entries["samples"])
        each = len(values) // n
        labels = entries.get("labels")
        return ([values[i * each:(i + 1) * each] for i in range(n)],
                labels and list(struct.unpack(f"<{n}q", labels[2])))
    return draw


def distance(a, b):
    return sum(abs(x - y) for x, y in zip(a, b)) / len(a)


def inpainting(name, device, base):
    """The kept pixels are exact, the others are the sample's own."""
    draw = sampler(name, device, base)
    files = ["--init", f"{base}/init.png", "--mask", f"{base}/mask.png"]
    write_png(files[1], PICTURE)
    write_png(files[3], MASK)
    steps = ["--steps", 5] if name != "ncsn" else []
    free = draw("-n", 3, *steps)[0]
    for kind in SAMPLERS[name] if device == "cpu" else SAMPLERS[name][:1]:
        samples, _ = draw("-n", 3, "--sampler", kind, *steps, *files)
        what = f"{name} {kind} on {device}"
        for sample in samples:
            kept = [abs(v - p / 255) for v, p, m in zip(sample, sum(PICTURE, []), sum(MASK, []))
                    if m == 0]
            check(len(kept) == 200 and max(kept) < 1e-7, f"{what}: kept pixels moved")
            painted = [abs(v - p / 255) for v, p, m in zip(sample, sum(PICTURE, []), sum(MASK, []))
                       if m]
            check(max(painted) > 0.05, f"{what}: nothing was painted")
        check(distance(samples[0], samples[1]) > 1e-3, f"{what}: samples are equal")
        if kind == SAMPLERS[name][0]:
            again = draw("-n", 3, *steps, *files, "--set", "train.batch_size=2")[0]
            check(max(map(distance, samples, again)) < 1e-4, f"{what}: depends on the batch size")
            painted = [(v, w) for v, w, m in zip(samples[0], free[0], sum(MASK, [])) if m]
            check(distance(*zip(*painted)) > 1e-4, f"{what}: the picture has no influence")
    write_png(files[3], [[255] * SIZE] * SIZE)
    check(max(map(distance, draw("-n", 3, *steps, *files)[0], free)) < 1e-5,
          f"{name} on {device}: all white is not free sampling")


def bad_inpainting(device, base):
    run = ["sample", f"{base}/ddpm", "--device", device, "--no-tune", "--quiet", "--steps", 2]
    picture, mask, other = (f"{base}/{name}.png" for name in ("init", "mask", "other"))
    write_png(picture, PICTURE)
    write_png(mask, MASK)
    fails("init alone", [*run, "--init", picture], "--mask")
    fails("mask alone", [*run, "--mask", mask], "--init")
    write_png(other, [[0] * 12] * 10)
    fails("another size", [*run, "--init", other, "--mask", mask], "other.png", "12 x 10", "16 x 16")
    fails("another mask", [*run, "--init", picture, "--mask", other], "other.png", "12 x 10")
    write_png(other, [[(255, 0, 0)] * SIZE] * SIZE)
    fails("colours", [*run, "--init", other, "--mask", mask], "other.png", "colours", "grey")
    fails("a mask with colours", [*run, "--init", picture, "--mask", other], "grey")
    write_png(other, [[127] * SIZE] * SIZE)
    fails("nothing to paint", [*run, "--init", picture, "--mask", other], "nothing is white")
    fails("no PNG", [*run, "--init", f"{base}/ddpm.ini", "--mask", mask], "ddpm.ini")
    fails("no file", [*run, "--init", f"{base}/none.png", "--mask", mask], "none.png")
    for name in ("wgan", "points"):
        fails("cannot paint", ["sample", f"{base}/{name}", "--no-tune", "--quiet", "--init", picture,
                               "--mask", mask], "cannot paint into a picture")


def animation(name, device, base, steps, frames):
    path = f"{base}/way.png"
    draw = sampler(name, device, base)
    more = ["--steps", steps] if steps else []
    still = draw("-n", 4, *more)
    check(draw("-n", 4, *more, "--animate", path) == still,
          f"{name} on {device}: an animation changes the samples")
    chunks = list(png_chunks(path))
    counted = [struct.unpack(">II", data)[0] for kind, data in chunks if kind == "acTL"]
    check(counted == [frames], f"{name} on {device}: {counted} frames, not {frames}")
    pictures = [data[4 * (kind == "fdAT"):] for kind, data in chunks if kind in ("IDAT", "fdAT")]
    check(len(set(pictures)) > frames // 2, f"{name} on {device}: the frames are equal")


def interpolation(name, device, base, *more):
    """Two rows of eight: neighbours are nearer than ends."""
    draw = sampler(name, device, base)
    samples, _ = draw("-n", 10, "--interpolate", *more)
    check(len(samples) == 16, f"{name}: {len(samples)} samples")
    for row in (samples[:8], samples[8:]):
        ends = distance(row[0], row[7])
        steps = [distance(a, b) for a, b in zip(row, row[1:])]
        check(ends > 0 and max(steps) < 0.6 * ends,
              f"{name} {more} on {device}: ends {ends:.3g}, steps up to {max(steps):.3g}")
    return samples


def classes(device, base):
    draw = sampler("cdiff", device, base)
    samples, labels = draw("--class", "all", "-n", 7, "--steps", 2, "--guidance", 2)
    kinds = max(labels) + 1
    each = -(-7 // kinds)
    check(labels == [k for k in range(kinds) for _ in range(each)], f"labels {labels}")
    check(len(samples) == kinds * each, "equally many of each class")
    one, labels = draw("--class", 1, "-n", 2, "--steps", 2, "--guidance", 2)
    check(labels == [1, 1], f"labels {labels}")
    _, labels = draw("--class", "all", "-n", 16, "--steps", 2, "--interpolate")
    check(labels == [0] * 8 + [1] * 8, f"labels of rows: {labels}")
    run = ["sample", f"{base}/cdiff", "--device", device, "--no-tune", "--quiet", "--class"]
    for bad in ("-1", kinds, "x", "", "1.5"):
        fails(f"class {bad}", [*run[:-1], f"--class={bad}"], "--class")


def training_grid(device, base):
    """A class in each row: what kiln sample draws of the same labels."""
    path = f"{base}/grid.ini"
    with open(path, "w", encoding="ascii") as file:
        file.write("[model]\nplugin = cdiff\n" + CONFIGS["cdiff"].replace("sample_every = 0",
                   "sample_every = 2").replace("n = 8", "n = 20\nsteps = 3\nseed = 5\nguidance = 2"))
    kiln("train", path, "--device", device, "--out", f"{base}/grid", "--no-tune", "--quiet")
    draw = sampler("grid", device, base)
    labels = draw("--class", "all")[1]
    kiln("sample", f"{base}/grid", "--device", device, "--no-tune", "--quiet", "--class", "all",
         "-o", f"{base}/grid.png")
    def pixels(path):
        return b"".join(data for kind, data in png_chunks(path) if kind in ("IHDR", "IDAT"))
    check(len(labels) == 20 and pixels(f"{base}/grid.png") == pixels(f"{base}/grid/samples-2.png"),
          f"{device}: the grid of the training is not labelled by rows")


def batch_statistics(device, base):
    """They make a sample depend on its batch, as running statistics do not."""
    draw = sampler("wgan", device, base)
    batches = [draw("-n", 8, *more, "--set", f"train.batch_size={size}")[0]
               for more in ([], ["--batch-stats"]) for size in (8, 4)]
    check(max(map(distance, batches[0], batches[1])) < 1e-5, f"{device}: running statistics")
    check(max(map(distance, batches[2], batches[3])) > 1e-4, f"{device}: batch statistics")
    check(max(map(distance, batches[0], batches[2])) > 1e-4, f"{device}: both are the same")
    kiln("sample", f"{base}/wgan", "--no-tune", "--quiet", "--batch-stats", "-o", f"{base}/b.png")
    command = png_texts(f"{base}/b.png")["Command"]
    check("--batch-stats" in command and "true" not in command, command)
    fails("not a wgan", ["sample", f"{base}/ddpm", "--batch-stats", "--no-tune"], "batch_stats")


for device in devices():
    with folder() as base:
        os.environ["KILN_DEVICE"] = device
        for name in CONFIGS if device == "cpu" else ("ddpm", "cdiff", "ncsn"):
            train(name, device, base)
        for name in SAMPLERS:
            inpainting(name, device, base)
        animation("ddpm", device, base, 6, 7)
        animation("ncsn", device, base, 0, 12)
        interpolation("ddpm", device, base, "--steps", 3)
        classes(device, base)
        training_grid(device, base)
        if device != "cpu":
            continue
        bad_inpainting(device, base)
        animation("cdiff", device, base, 20, 21)
        animation("points", device, base, 200, 49)
        fails("no animation", ["sample", f"{base}/wgan", "--animate", f"{base}/w.png", "--no-tune"],
              "one step")
        interpolation("ddpm", device, base, "--steps", 20, "--sampler", "ddpm")
        interpolation("cdiff", device, base, "--steps", 5, "--class", 2)
        interpolation("ncsn", device, base)
        interpolation("ncsn", device, base, "--sampler", "pc")
        interpolation("points", device, base, "--steps", 30)
        interpolation("wgan", device, base)
        batch_statistics(device, base)
        fails("noise twice", ["sample", f"{base}/ddpm", "--interpolate", "--noise", "x"], "--noise")
finish()
