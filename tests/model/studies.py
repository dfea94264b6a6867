"""What each study finds, with reduced settings, and that devices agree.

    studies.py KILN CONFIG_DIR
"""
import json
import math

from harness import CONFIGS, check, devices, fails, finish, folder, kiln, png_texts, read

SMALL = {
    "langevin": {"sample.n": 500, "sample.langevin_steps": 300, "train.steps": 4000, "train.batch_size": 256,
                 "train.learning_rate": 3e-3, "network.ngf": 64},
    "manifold": {"train.steps": 600, "train.batch_size": 128, "train.learning_rate": 2e-3},
    "divergence": {"study.distances": "1, 10", "train.steps": 500, "train.learning_rate": 5e-3},
    "noise-steps": {"data.source": "shapes", "data.image_size": 8, "data.n_train": 512, "data.n_test": 8,
                    "study.timesteps": "3, 20", "study.feature_steps": 150, "network.block_out_channels": "16, 16",
                    "train.steps": 300, "train.warmup_steps": 10, "train.batch_size": 32, "sample.n": 128,
                    "train.learning_rate": 4e-3, "run.threads": 1},
}


def arguments(name, picture, device="cpu", **more):
    settings = {**SMALL[name], **more}
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return ["study", f"{CONFIGS}/study-{name}.ini", "-o", picture, "--device", device, "--quiet",
            "--no-tune", *sets]


def study(name, picture, device, **more):
    result = json.loads(kiln(*arguments(name, picture, device, **more), "--json").stdout)
    check(result["study"] == name, f"{name}: calls itself {result['study']}")
    check(result["image"] == picture and "study" in png_texts(picture)["Command"],
          f"{name}: {picture} does not say where it is from")
    print(f"{name} on {device}: {json.dumps(result['tables'])}")
    return result["tables"]


def langevin(tables, where):
    modes, errors = tables["small mode"], tables["relative score error by density"]
    plain, annealed = modes["plain, exact score"], modes["annealed, exact score"]
    check(plain["weight"] > 0.42, f"{where}: plain dynamics keeps the weight: {plain}")
    check(abs(annealed["weight"] - 0.2) < 0.07, f"{where}: annealing loses the weight: {annealed}")
    check(abs(annealed["spread"] - 1) < 0.1, f"{where}: spread {annealed}")
    check(modes["annealed, network"]["weight"] < modes["plain, network"]["weight"] - 0.1,
          f"{where}: network {modes}")
    check(errors["> 1e-3"]["error"] < errors["rest"]["error"], f"{where}: {errors}")


def manifold(tables, where):
    loss = tables["loss"]
    for kind in ("exact", "sliced"):
        clean, noisy = loss[f"{kind}, no noise"], loss[f"{kind}, noise"]
        check(clean["change"] > 0.5, f"{where}: without noise {kind} settles: {clean}")
        check(clean["at the end"] < 4 * noisy["at the end"] < 0, f"{where}: {clean} {noisy}")
        check(noisy["change"] < 0.15, f"{where}: with noise {kind} does not settle: {noisy}")
        check(abs(noisy["at the end"] / noisy["expected"] - 1) < 0.15, f"{where}: {kind} {noisy}")


def divergence(tables, where):
    near, far = tables["divergences by distance"]["1"], tables["divergences by distance"]["10"]
    unit = tables["N(0,1) and N(3,1)"]
    check(far["KL slope"] > 9.9 * near["KL slope"], f"{where}: KL {near} {far}")
    check(abs(far["JS"] - math.log(2)) < 1e-6 and far["JS slope"] < 1e-15, f"{where}: JS {far}")
    for row in (near, far):
        check(abs(row["critic"] - row["W"]) < 0.02 * row["W"], f"{where}: critic {row}")
        check(abs(row["gp_weight 10"] - row["its optimum "]) < 0.02 * row["W"], f"{where}: {row}")
    check(far["gp_weight 10"] > 1.4 * far["W"], f"{where}: the penalty does not bias {far}")
    check(abs(unit["gp_weight 10"]["critic"] - 3.46) < 0.12, f"{where}: {unit}")
    check(abs(unit["gp_weight 1000"]["critic"] - 3.00) < 0.10, f"{where}: {unit}")


def noise_steps(tables, where):
    table = tables["noise steps"]
    few, more, real = table["T = 3"], table["T = 20"], table["other real pictures"]
    check(few["Frechet"] > 1.5 * more["Frechet"], f"{where}: few steps draw well {table}")
    check(more["Frechet"] > real["Frechet"], f"{where}: better than real {table}")
    check((few["evaluations"], more["evaluations"]) == (3, 20), f"{where}: {table}")
    check(few["seconds an image"] > 0, f"{where}: sampling takes no time {table}")


FINDINGS = {"langevin": langevin, "manifold": manifold, "divergence": divergence,
            "noise-steps": noise_steps}
# Short runs, the same on every device.
SHORT = {
    "langevin": {"train.steps": 40, "sample.n": 64, "sample.langevin_steps": 40, "noise.steps_per_scale": 4},
    "manifold": {"train.steps": 40},
    "divergence": {"train.steps": 40},
    "noise-steps": {"train.steps": 20, "study.feature_steps": 20, "sample.n": 40},
}


def compare(a, b, where):
    """Numbers of two tables, but for times."""
    if isinstance(a, dict):
        check(a.keys() == b.keys(), f"{where}: {a.keys()} {b.keys()}")
        for key in a.keys() & b.keys() - {"seconds an image"}:
            compare(a[key], b[key], f"{where}, {key}")
    elif a is not None or b is not None:
        check(abs(a - b) <= 2e-3 * max(abs(a), 0.1), f"{where}: {a} {b}")


with folder() as base:
    for name, finding in FINDINGS.items():
        finding(study(name, f"{base}/{name}.png", "cpu"), f"{name} on cpu")
    for name, settings in SHORT.items():
        first, *others = [study(name, f"{base}/{name}.png", device, **settings) for device in devices()]
        for other in others:
            compare(first, other, name)

    # the same seed gives the same numbers and the same picture
    pictures = []
    for seed in (0, 0, 1):
        more = {"train.steps": 60, "run.seed": seed}
        output = kiln(*arguments("manifold", f"{base}/again.png", **more)).stdout
        pictures.append((output, read(f"{base}/again.png").split(b"IDAT", 1)[1]))
    check(pictures[0] == pictures[1], "the same seed gives other numbers")
    check(pictures[0] != pictures[2], "another seed gives the same numbers")

    # bad input
    fails("no studies", ["study", f"{CONFIGS}/tiny-vae.ini", "-o", f"{base}/x.png"],
          "model vae has no studies")
    fails("unknown study", arguments("manifold", f"{base}/x.png", **{"study.name": "circle"}),
          "[study] name", "no study circle, only langevin, manifold")
    fails("no steps", arguments("manifold", f"{base}/x.png", **{"train.steps": 0}), "[train] steps")
    fails("other data", arguments("langevin", f"{base}/x.png", **{"data.source": "shapes"}), "[data] source")
    fails("few pictures", arguments("noise-steps", f"{base}/x.png", **{"data.n_train": 100}), "[sample] n")
    fails("order", arguments("divergence", f"{base}/x.png", **{"study.distances": "2, 1"}),
          "[study] distances")
    fails("one", arguments("divergence", f"{base}/x.png", **{"study.distances": "2"}), "[study] distances")
    fails("timesteps", arguments("noise-steps", f"{base}/x.png", **{"study.timesteps": "0, 3"}),
          "[study] timesteps")
    fails("no folder", arguments("manifold", f"{base}/none/x.png"), "none", status=2)
    kiln("study", f"{CONFIGS}/study-manifold.ini", "--help")
finish()
