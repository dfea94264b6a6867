"""Weights and folders from and to PyTorch and diffusers.

    exchange.py KILN CONFIG_DIR
"""
import json
import os
import shutil

from harness import (CONFIGS, TINY, check, devices, fails, finish, floats, folder, kiln, read,
                     small, tensors, write_tensors)

GOLDEN = os.path.join(CONFIGS, "..", "tests", "golden", "diffusers")
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
OLD_NAMES = (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn"))
CPU = ["--device", "cpu", "--no-tune", "--quiet"]


def samples(run, path, *arguments):
    kiln("sample", run, "--raw", path, *arguments)
    return tensors(path)[0]["samples"]


def ddim(run, base, device="cpu"):
    return samples(run, f"{base}/ddim.safetensors", "--sampler", "ddim", "--steps", 6, "--noise",
                   f"{GOLDEN}/expected.safetensors", "--device", device, "--no-tune", "--quiet")


def copy(base, name, **changes):
    """A copy of the golden folder with other values in its config.json; None removes a key."""
    path = f"{base}/{name}"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(GOLDEN, path)
    edit(f"{path}/unet/config.json", changes)
    return path


def edit(path, changes):
    content = json.loads(read(path))
    content.update(changes)
    write(path, json.dumps({key: value for key, value in content.items() if value != "absent"}))


def write(path, content):
    with open(path, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)


def old_names(name):
    for new, old in OLD_NAMES:
        name = name.replace(f".{new}.", f".{old}.")
    return name


# --- folders of diffusers ----------------------------------------------------------------

def same_picture(base):
    expected = floats(tensors(f"{GOLDEN}/expected.safetensors")[0]["samples"])
    for device in devices():
        drawn = floats(ddim(GOLDEN, base, device))
        worst = max(abs(a - b) for a, b in zip(drawn, expected))
        check(len(drawn) == len(expected) and worst < 1e-3, f"{device}: picture off by {worst}")


def other_forms(base):
    expected = ddim(GOLDEN, base)
    old = copy(base, "old")
    entries, metadata = tensors(f"{old}/{WEIGHTS}")
    renamed = {old_names(name): entry for name, entry in entries.items()}
    check(renamed.keys() != entries.keys(), "no old names")
    write_tensors(f"{old}/{WEIGHTS}", renamed, metadata)
    check(ddim(old, base) == expected, "old names of attention weights")

    bare = f"{base}/bare"  # the folder of a UNet2DModel: no pipeline round it
    os.mkdir(bare)
    for name in ("config.json", os.path.basename(WEIGHTS)):
        shutil.copy(f"{GOLDEN}/unet/{name}", bare)
    settings = ("--set", "scheduler.beta_schedule=scaled_linear", "--set",
                "scheduler.beta_end=0.015", "--set", "scheduler.prediction_type=v_prediction",
                "--set", "scheduler.clip_sample_range=1.5", "--sampler", "ddim", "--steps", 6,
                "--noise", f"{GOLDEN}/expected.safetensors", *CPU)
    check(samples(bare, f"{base}/bare.safetensors", *settings) == expected, "a bare folder")
    about = json.loads(kiln("describe", bare, "--json", "--device", "cpu").stdout)
    check(about["config"]["scheduler"]["beta_end"] == 0.02, "defaults of a missing scheduler")

    absent = copy(base, "absent", dropout="absent", act_fn="absent", freq_shift="absent",
                  layers_per_block="absent")
    config = json.loads(kiln("describe", absent, "--json", "--config-only").stdout)["config"]
    check(config["network"]["layers_per_block"] == 2 and config["network"]["freq_shift"] == 0,
          "absent keys take other defaults than diffusers'")

    solver = copy(base, "solver")
    write(f"{solver}/scheduler/scheduler_config.json",
          '{"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity, '
          '"use_karras_sigmas": true, "variance_type": null}')
    config = json.loads(kiln("describe", solver, "--json", "--config-only").stdout)["config"]
    check(config["sample"]["sampler"] == "dpmpp_2m", "the scheduler's class")
    check(config["scheduler"]["use_karras_sigmas"] is True, "the scheduler's keys")


def thresholding(base):
    """A scheduler's thresholding is used, and written again."""
    keys = {"thresholding": True, "dynamic_thresholding_ratio": 0.75, "sample_max_value": 1.25}
    path = copy(base, "threshold")
    edit(f"{path}/scheduler/scheduler_config.json", keys)
    read_from = ddim(path, base)
    check(read_from != ddim(GOLDEN, base), "thresholding of a folder changes nothing")
    settings = [word for key, value in keys.items()
                for word in ("--set", f"scheduler.{key}={json.dumps(value)}")]
    set_by_hand = samples(GOLDEN, f"{base}/set.safetensors", *settings, "--sampler", "ddim",
                          "--steps", 6, "--noise", f"{GOLDEN}/expected.safetensors", *CPU)
    check(read_from == set_by_hand, "thresholding of a folder is another than the config's")
    kiln("export", path, "-o", f"{base}/threshold-out")
    written = json.loads(read(f"{base}/threshold-out/scheduler/scheduler_config.json"))
    check({key: written[key] for key in keys} == keys, f"thresholding written as {written}")


def with_classes(base):
    path = copy(base, "classes", num_class_embeds=4)
    entries, metadata = tensors(f"{path}/{WEIGHTS}")
    entries["class_embedding.weight"] = ("F32", [4, 16], bytes(4 * 4 * 16))
    write_tensors(f"{path}/{WEIGHTS}", entries, metadata)
    about = json.loads(kiln("describe", path, "--json", "--device", "cpu").stdout)
    check(about["config"]["model"]["plugin"] == "cdiff", "classes need cdiff")
    check(about["data"]["n_classes"] == 3, "the null class is one of num_class_embeds")
    drawn = samples(path, f"{base}/class.safetensors", "--class", "all", "-n", 3, "--sampler",
                    "ddim", "--steps", 2, *CPU)
    check(drawn[1] == [3, 1, 8, 8], "samples of classes")
    kiln("export", path, "-o", f"{base}/classes-out")
    check(sorted(os.listdir(f"{base}/classes-out")) == ["scheduler", "unet"],
          "there is no pipeline for classes")
    config = json.loads(read(f"{base}/classes-out/unet/config.json"))
    check(config["num_class_embeds"] == 4, "num_class_embeds")


def evaluation(base):
    figures = json.loads(kiln("eval", GOLDEN, "--json", *CPU, "--set", "data.source=shapes",
                              "--set", "data.n_train=4", "--set", "data.n_test=8").stdout)
    check(figures["samples"] == 8 and figures["epsilon_error"] > 0, f"eval {figures}")


def again(base):
    """What was read is written the same."""
    kiln("export", GOLDEN, "-o", f"{base}/first")
    kiln("export", f"{base}/first", "-o", f"{base}/second/")
    for name in ("model_index.json", "unet/config.json", WEIGHTS,
                 "scheduler/scheduler_config.json"):
        check(read(f"{base}/first/{name}") == read(f"{base}/second/{name}"), f"{name} changed")
    for name in ("unet/config.json", "scheduler/scheduler_config.json"):
        ours, theirs = (json.loads(read(f"{path}/{name}")) for path in (f"{base}/first", GOLDEN))
        for content in (ours, theirs):
            content.pop("_diffusers_version")
        check(ours == theirs, f"{name}: {ours} {theirs}")
    check(tensors(f"{base}/first/{WEIGHTS}")[0] == tensors(f"{GOLDEN}/{WEIGHTS}")[0], "weights")
    check(ddim(f"{base}/first", base) == ddim(GOLDEN, base), "exported folder draws another")
    fails("a folder that is not empty", ["export", GOLDEN, "-o", f"{base}/first"], "--force")
    write(f"{base}/first/notes", "mine")
    write(f"{base}/first/unet/config.json", "{}")
    kiln("export", GOLDEN, "-o", f"{base}/first", "--force")
    check(read(f"{base}/first/unet/config.json") == read(f"{base}/second/unet/config.json"),
          "--force does not replace")
    check(read(f"{base}/first/notes") == b"mine", "--force removes what is not its own")
    os.mkdir(f"{base}/empty")
    kiln("export", GOLDEN, "-o", f"{base}/empty")
    write(f"{base}/file", "")
    fails("a file in the way", ["export", GOLDEN, "-o", f"{base}/file", "--force"], "folder")
    fails("no output", ["export", GOLDEN], "-o")
    check(not [name for name in os.listdir(base) if "partial" in name], "left a partial folder")


# --- hostile folders ------------------------------------------------------------------------

def bad_values(base):
    for name, value, *words in (
            ("act_fn", "softsign", "act_fn", "silu"),
            ("act_fn", 3, "act_fn", "a string"),
            ("layers_per_block", "2", "layers_per_block", "a number"),
            ("layers_per_block", 0, "layers_per_block", "1..16"),
            ("layers_per_block", 1.5, "layers_per_block"),
            ("layers_per_block", [1, 2], "layers_per_block"),
            ("layers_per_block", {"a": {}}, "layers_per_block"),
            ("norm_eps", "1e-5", "norm_eps"),
            ("add_attention", "yes", "add_attention"),
            ("block_out_channels", 4, "block_out_channels"),
            ("block_out_channels", [], "block_out_channels"),
            ("block_out_channels", [4, "8"], "block_out_channels"),
            ("block_out_channels", [4, 1e300], "block_out_channels"),
            ("block_out_channels", [4] * 99, "block_out_channels"),
            ("down_block_types", ["DownBlock2D", "KDownBlock2D"], "down_block_types",
             "KDownBlock2D", "AttnDownBlock2D"),
            ("down_block_types", ["DownBlock2D"], "down_block_types"),
            ("down_block_types", ["DownBlock2D, AttnDownBlock2D"], "down_block_types"),
            ("down_block_types", [None, 1], "down_block_types"),
            ("mid_block_type", "UNetMidBlock2DCrossAttn", "mid_block_type", "UNetMidBlock2D"),
            ("time_embedding_type", "fourier", "time_embedding_type", "positional"),
            ("class_embed_type", "identity", "class_embed_type", "timestep"),
            ("class_embed_type", "timestep", "class_embed_type"),
            ("num_class_embeds", 1, "num_class_embeds"),
            ("num_class_embeds", 1 << 40, "num_class_embeds"),
            ("sample_size", None, "sample_size"),
            ("sample_size", -8, "sample_size"),
            ("sample_size", [8, 8, 8], "sample_size"),
            ("sample_size", 1 << 62, "sample_size"),
            ("in_channels", 0, "in_channels"),
            ("out_channels", 2, "out_channels", "(1)"),
            ("resnet_time_scale_shift", "ada_group", "resnet_time_scale_shift", "scale_shift"),
            ("downsample_padding", 7, "downsample_padding", "0..1"),
            ("attention_head_dim", 3, "attention_head_dim"),
            ("norm_num_groups", None, "norm_num_groups"),
            ("_class_name", "UNet2DConditionModel", "_class_name", "UNet2DConditionModel"),
            ("_class_name", "absent", "_class_name"),
            ("_class_name", ["UNet2DModel"], "_class_name"),
            ("_class_name", "A\n" * 1000, "_class_name")):
        fails(f"{name} = {str(value)[:40]}", ["sample", copy(base, "bad", **{name: value}), *CPU],
              *words)
    for name, value, *words in (("beta_schedule", "sigmoid", "beta_schedule", "scaled_linear"),
                                ("thresholding", "dynamic", "thresholding"),
                                ("dynamic_thresholding_ratio", 1.5, "dynamic_thresholding_ratio"),
                                ("sample_max_value", 0.5, "sample_max_value"),
                                ("variance_type", "learned_range", "variance_type", "fixed_small"),
                                ("trained_betas", [0.1, 0.2], "trained_betas", "null"),
                                ("num_train_timesteps", 10 ** 9, "num_train_timesteps"),
                                ("_class_name", "LCMScheduler", "LCMScheduler", "DDIMScheduler")):
        path = copy(base, "bad")
        edit(f"{path}/scheduler/scheduler_config.json", {name: value})
        fails(f"scheduler {name}", ["sample", path, *CPU], "scheduler_config.json", *words)
    path = copy(base, "bad")
    edit(f"{path}/model_index.json", {"_class_name": "LDMPipeline"})
    fails("another pipeline", ["sample", path, *CPU], "_class_name", "LDMPipeline")
    result = kiln("describe", copy(base, "bad", new_key=1), "--config-only")
    check("new_key" in result.text, "an unknown key is not noted")


def bad_files(base):
    config = read(f"{GOLDEN}/unet/config.json")
    for name, content, *words in (
            ("cut", config[:40], "not JSON"),
            ("empty", b"", "not JSON"),
            ("a list", b"[]", "not a JSON object"),
            ("two objects", config + config, "not JSON"),
            ("twice", b'{"a": 1, "a": 2}', "not JSON"),
            ("deep", b"[" * 100000, "not JSON"),
            ("not UTF-8", b'{"_class_name": "\xff"}', "not JSON"),
            ("NUL", b'{"_class_name": "UNet2DModel\\u0000"}', "not JSON"),
            ("NaN", b'{"_class_name": "UNet2DModel", "norm_eps": NaN}', "not JSON"),
            ("huge", b" " * (1 << 21), "config.json")):
        path = copy(base, "bad")
        write(f"{path}/unet/config.json", content)
        fails(name, ["sample", path, *CPU], *words)
    path = copy(base, "bad")
    os.remove(f"{path}/{WEIGHTS}")
    fails("no weights", ["sample", path, *CPU], WEIGHTS)
    fails("no weights", ["export", path, "-o", f"{base}/none"], WEIGHTS)
    check(not os.path.exists(f"{base}/none"), "an export of nothing")
    write(f"{path}/{WEIGHTS}", read(f"{GOLDEN}/{WEIGHTS}")[:-4])
    fails("weights cut short", ["sample", path, *CPU], "safetensors")
    os.remove(f"{path}/unet/config.json")
    os.mkdir(f"{path}/unet/config.json")
    fails("a directory", ["sample", path, *CPU], "config.json")
    shutil.rmtree(f"{path}/unet")
    fails("no unet", ["sample", path, *CPU], "no checkpoint.safetensors")
    entries, metadata = tensors(f"{GOLDEN}/{WEIGHTS}")
    path = copy(base, "bad")
    entries["conv_in.weight"] = ("F32", [4, 1, 9], entries["conv_in.weight"][2])
    entries["mine"] = ("F32", [], bytes(4))
    del entries["conv_out.bias"]
    write_tensors(f"{path}/{WEIGHTS}", entries, metadata)
    fails("other weights", ["sample", path, *CPU], "3 differences", "conv_in.weight is [4, 1, 9], "
          "expected [4, 1, 3, 3]", "conv_out.bias [1] is missing", "mine is not the model's")


# --- one file a network ----------------------------------------------------------------------

def vae(base):
    run, out = f"{base}/vae", f"{base}/vae.safetensors"
    kiln(*small("cpu", run, 10, "--set", "train.ema_decay=0.9"))
    state, _ = tensors(f"{run}/checkpoint.safetensors")
    weights = [name for name in state if not name.startswith(("ema.", "optim."))]
    check(kiln("export", run, "-o", out).stdout.decode() == out + "\n", "export prints the path")
    entries, metadata = tensors(out)
    check(entries == {name: state["ema." + name] for name in weights}, "not the average")
    check(metadata == {"format": "pt"}, f"metadata {metadata}")
    check(samples(run, f"{base}/a.safetensors", "-n", 4, *CPU) ==
          samples(out, f"{base}/b.safetensors", "-n", 4, "--config", TINY, *CPU),
          "the exported file draws other pictures")
    fails("an existing file", ["export", run, "-o", out, "--raw"], "--force")
    kiln("export", run, "-o", out, "--raw", "--force")
    check(tensors(out)[0] == {name: state[name] for name in weights}, "not the raw weights")
    kiln("export", out, "--config", TINY, "-o", f"{base}/vae2.safetensors")
    check(read(out) == read(f"{base}/vae2.safetensors"), "read and written again, it differs")
    os.mkdir(f"{base}/folder")
    fails("a folder in the way", ["export", run, "-o", f"{base}/folder", "--force"], "as a file")
    fails("no folder", ["export", run, "-o", f"{base}/vae.safetensors/x"], "vae.safetensors")


def labelled_data(base):
    """Labels of the data do not make an unconditional network conditional."""
    config, run, out = f"{base}/ddpm.ini", f"{base}/ddpm", f"{base}/ddpm-out"
    write(config, "[model]\nplugin = ddpm\n[data]\nsource = shapes\nimage_size = 8\nn_train = 16\n"
                  "n_test = 4\n[network]\nblock_out_channels = 4, 8\nnorm_num_groups = 2\n"
                  "layers_per_block = 1\n[train]\nbatch_size = 4\nsteps = 2\nsample_every = 0\n")
    kiln("train", config, "--out", run, *CPU)
    kiln("export", run, "-o", out)
    written = json.loads(read(f"{out}/unet/config.json"))
    check(written["num_class_embeds"] is None, "classes of a network without any")
    check(written["down_block_types"] == ["DownBlock2D", "AttnDownBlock2D"] and
          written["up_block_types"] == ["AttnUpBlock2D", "UpBlock2D"], "types left open")
    how = ("-n", 3, "--sampler", "ddim", "--steps", 3, *CPU)
    check(samples(run, f"{base}/1.safetensors", *how) ==
          samples(out, f"{base}/2.safetensors", *how), "the folder draws other pictures")


def parts(base):
    config = f"{base}/wgan.ini"
    write(config, "[model]\nplugin = wgan\n[data]\nsource = shapes\nimage_size = 16\nn_train = 32\n"
                  "n_test = 8\n[network]\nlatent_size = 6\nfeatures = 4\n[train]\nbatch_size = 8\n"
                  "steps = 2\nsample_every = 0\n")
    run, out = f"{base}/wgan", f"{base}/wgan-out"
    kiln("train", config, "--out", run, "--steps", 2, *CPU)
    kiln("export", run, "-o", out)
    check(sorted(os.listdir(out)) == ["critic.safetensors", "generator.safetensors"], "two files")
    state, _ = tensors(f"{run}/checkpoint.safetensors")
    generator, _ = tensors(f"{out}/generator.safetensors")
    check(generator == {name[10:]: entry for name, entry in state.items()
                        if name.startswith("generator.")}, "the generator's state_dict")
    count = [entry[:2] for name, entry in generator.items() if "num_batches_tracked" in name]
    check(count and all(kind == ("I64", []) for kind in count), f"num_batches_tracked {count}")
    one = ["--config", config, "--part", "generator", *CPU]
    check(samples(f"{out}/generator.safetensors", f"{base}/g.safetensors", "-n", 4, *one) ==
          samples(run, f"{base}/w.safetensors", "-n", 4, *CPU), "the part draws other pictures")
    fails("the other part", ["sample", f"{out}/critic.safetensors", *one], "generator.main")
    fails("no such part", ["sample", f"{out}/critic.safetensors", "--config", config, "--part",
                           "unet"], "unet")
    fails("half a model", ["eval", f"{out}/generator.safetensors", *one], "critic.main")
    fails("a long part", ["sample", run, "--part", "x" * 99], "--part")


with folder() as temporary:
    same_picture(temporary)
    other_forms(temporary)
    thresholding(temporary)
    with_classes(temporary)
    evaluation(temporary)
    again(temporary)
    bad_values(temporary)
    bad_files(temporary)
    vae(temporary)
    labelled_data(temporary)
    parts(temporary)
finish()
