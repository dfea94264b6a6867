#!/usr/bin/env python3
"""Trains a tiny network of every model, exports it and loads it with the reference's own class.

    OMP_NUM_THREADS=1 python tests/bench/exchange.py build/kiln REFERENCES [MODEL...]

The Python needs torch and diffusers (0.42 was used). REFERENCES is a folder with the sources of
the other references: ncsnv2/ (a checkout of ermongroup/ncsnv2), dcgan.py (of
martinarjovsky/WassersteinGAN, models/) and script.py (of TeaPearce/Conditional_Diffusion_MNIST).
Every state_dict is loaded with strict=True; the figure is the largest difference between the
picture that Kiln draws and the one that PyTorch draws from the same noise, with 0..1 as the range.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import types

import torch
from diffusers import DDIMScheduler, DDPMPipeline, UNet2DModel
from safetensors.torch import load_file, save_file
from torch import nn

KILN, REFERENCES = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
N = 4
worst_of_all = 0.0


def kiln(*arguments):
    result = subprocess.run([KILN, *map(str, arguments)], capture_output=True, check=False)
    if result.returncode:
        sys.exit(f"kiln {' '.join(map(str, arguments))}\n{result.stderr.decode()}")
    return result.stdout.decode()


def train(base, name, text):
    config = f"{base}/{name}.ini"
    with open(config, "w", encoding="ascii") as file:
        file.write(text + "[run]\ndevice = cpu\n")
    kiln("train", config, "--out", f"{base}/{name}", "--no-tune", "--quiet",
         "--set", "train.sample_every=0")
    return f"{base}/{name}"


def draw(run, base, noise, *arguments):
    save_file({"noise": noise}, f"{base}/noise.safetensors")
    kiln("sample", run, "--noise", f"{base}/noise.safetensors", "--raw", f"{base}/raw.safetensors",
         "--no-tune", "--quiet", *arguments)
    return load_file(f"{base}/raw.safetensors")["samples"]


def report(name, ours, theirs, what="picture"):
    global worst_of_all
    difference = (ours - theirs).abs().max().item()
    worst_of_all = max(worst_of_all, difference)
    print(f"{name:14} strict load, {what}: largest difference {difference:.2e}, "
          f"values {theirs.min():.2f} .. {theirs.max():.2f}, spread {theirs.std(correction=0):.2f}", flush=True)


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(11))


SHAPES = "[data]\nsource = shapes\nimage_size = {}\nn_train = 64\nn_test = 16\n"
STEPS = "[train]\nbatch_size = 16\nsteps = {}\nlearning_rate = 1e-2\nema_decay = 0.9\n"


# --- diffusers ------------------------------------------------------------------------------

def ddim(network, scheduler, noise, steps=10):
    scheduler.set_timesteps(steps)
    x = noise
    for t in scheduler.timesteps:
        x = scheduler.step(network(x, t), t, x, eta=0.0).prev_sample
    return x


def ddpm(base):
    run = train(base, "ddpm", "[model]\nplugin = ddpm\n" + SHAPES.format(16) + STEPS.format(60) +
                "[network]\nblock_out_channels = 16, 32\nnorm_num_groups = 4\n"
                "layers_per_block = 1\nattention_head_dim = 8\ndownsample_padding = 0\n"
                "[scheduler]\nprediction_type = v_prediction\n")
    kiln("export", run, "-o", f"{base}/ddpm-out")
    pipeline = DDPMPipeline.from_pretrained(f"{base}/ddpm-out")
    net = UNet2DModel.from_pretrained(f"{base}/ddpm-out", subfolder="unet").eval()
    net.load_state_dict(load_file(f"{base}/ddpm-out/unet/diffusion_pytorch_model.safetensors"),
                        strict=True)
    noise = normal(N, 1, 16, 16)
    scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    theirs = ddim(lambda x, t: net(x, t).sample, scheduler, noise) / 2 + 0.5
    how = ("--sampler", "ddim", "--steps", 10)
    report("ddpm run", draw(run, base, noise, *how), theirs.clamp(0, 1))
    report("ddpm folder", draw(f"{base}/ddpm-out", base, noise, *how), theirs.clamp(0, 1))
    pictures = pipeline(batch_size=1, num_inference_steps=3, output_type="np",
                        generator=torch.Generator().manual_seed(0)).images
    print(f"ddpm           DDPMPipeline drew {pictures.shape}", flush=True)
    pipeline.save_pretrained(f"{base}/again")
    report("ddpm saved", draw(f"{base}/again", base, noise, *how), theirs.clamp(0, 1))


def cdiff(base, condition):
    run = train(base, condition, "[model]\nplugin = cdiff\n" + SHAPES.format(16) + STEPS.format(60) +
                "[network]\nblock_out_channels = 16, 32\nnorm_num_groups = 4\n"
                f"layers_per_block = 1\ncondition = {condition}\n"
                "[scheduler]\nprediction_type = sample\n")
    kiln("export", run, "-o", f"{base}/cdiff-out", "--force")
    net = UNet2DModel.from_pretrained(f"{base}/cdiff-out", subfolder="unet").eval()
    scheduler = DDIMScheduler.from_config(f"{base}/cdiff-out", subfolder="scheduler")
    null = net.config.num_class_embeds - 1
    classes, guidance = torch.arange(N) % null, 2.0

    def guided(x, t):
        apart = [net(x, t, class_labels=c).sample for c in (torch.full((N,), null), classes)]
        return apart[0] + guidance * (apart[1] - apart[0])

    noise = normal(N, 1, 16, 16)
    theirs = (ddim(guided, scheduler, noise) / 2 + 0.5).clamp(0, 1)
    how = ("--sampler", "ddim", "--steps", 10, "--class", "all", "--guidance", guidance)
    report(f"cdiff {condition[:8]}", draw(f"{base}/cdiff-out", base, noise, *how), theirs)


# --- one file a network ------------------------------------------------------------------------

class VAE(nn.Module):
    """The decoder of pytorch/examples' vae, and the encoder's layers."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc21, self.fc22 = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
        self.fc3, self.fc4 = nn.Linear(20, 400), nn.Linear(400, 784)

    def decode(self, z):
        return torch.sigmoid(self.fc4(torch.relu(self.fc3(z))))


def vae(base):
    run = train(base, "vae", "[model]\nplugin = vae\n[data]\nsource = idx\nn_train = 512\n"
                "n_test = 64\n[network]\narch = mlp\n" + STEPS.format(40))
    kiln("export", run, "-o", f"{base}/vae.safetensors")
    net = VAE()
    net.load_state_dict(load_file(f"{base}/vae.safetensors"), strict=True)
    z = normal(N, 20)
    report("vae", draw(run, base, z), net.decode(z).view(N, 1, 28, 28))


def ncsn(base):
    sys.path.insert(0, f"{REFERENCES}/ncsnv2")
    from models import anneal_Langevin_dynamics
    from models.ncsnv2 import NCSNv2
    begin, end, levels, epsilon = 3.0, 0.05, 4, 2e-4
    run = train(base, "ncsn", "[model]\nplugin = ncsn\n" + SHAPES.format(16) + STEPS.format(20) +
                f"[network]\narch = refinenet\nngf = 8\n[noise]\nsigma_begin = {begin}\n"
                f"sigma_end = {end}\nnum_scales = {levels}\nsteps_per_scale = 3\n"
                f"step_size = {epsilon}\n")
    kiln("export", run, "-o", f"{base}/ncsn.safetensors")
    spaces = types.SimpleNamespace
    net = NCSNv2(spaces(
        data=spaces(logit_transform=False, rescaled=False, channels=1, image_size=16),
        model=spaces(ngf=8, num_classes=levels, nonlinearity="elu", sigma_dist="geometric",
                     sigma_begin=begin, sigma_end=end, normalization="InstanceNorm++"),
        device="cpu"))
    state = load_file(f"{base}/ncsn.safetensors")
    report("ncsn sigmas", state["sigmas"] / begin, net.sigmas / begin, "buffer")
    net.load_state_dict(state, strict=True)
    noise = torch.rand(N, 1, 16, 16, generator=torch.Generator().manual_seed(3))
    plain, torch.randn_like = torch.randn_like, torch.zeros_like  # the sampler without its noise
    theirs = anneal_Langevin_dynamics(noise, net.eval(), net.sigmas.numpy(), n_steps_each=3,
                                      step_lr=epsilon, final_only=True)[0]
    torch.randn_like = plain
    ours = draw(run, base, noise, "--sampler", "ald", "--set", "sample.noise_scale=0")
    report("ncsn", ours, theirs.clamp(0, 1))


def wgan(base):
    sys.path.insert(0, REFERENCES)
    import dcgan
    run = train(base, "wgan", "[model]\nplugin = wgan\n" + SHAPES.format(32) +
                "[network]\nlatent_size = 10\nfeatures = 8\nextra_layers = 1\n"
                "[train]\nloss = gan\nbatch_size = 16\nsteps = 15\nlearning_rate = 2e-3\n")
    kiln("export", run, "-o", f"{base}/wgan-out")
    generator = dcgan.DCGAN_G(32, 10, 1, 8, 0, 1).eval()
    critic = dcgan.DCGAN_D(32, 10, 1, 8, 0, 1).eval()
    generator.load_state_dict(load_file(f"{base}/wgan-out/generator.safetensors"), strict=True)
    critic.load_state_dict(load_file(f"{base}/wgan-out/critic.safetensors"), strict=True)
    z = normal(N, 10)
    drawn = generator.main(z.view(N, 10, 1, 1))
    report("wgan", draw(run, base, z), drawn / 2 + 0.5)
    fakes = draw(run, base, z)
    save_file({"images": fakes}, f"{base}/fakes.safetensors")
    figures = json.loads(kiln(
        "eval", run, "--json", "--no-tune", "--quiet", "--set", "data.source=safetensors", "--set",
        f"data.images={base}/fakes.safetensors", "--set", f"data.test_images={base}/fakes.safetensors"))
    scores = critic.main(fakes * 2 - 1).mean()
    report("wgan critic", torch.tensor([figures["critic_real"]]), scores.view(1), "mean score")


def context_unet(base):
    with open(f"{REFERENCES}/script.py", encoding="utf-8") as file:
        text = re.sub(r"(?m)^(from (torchvision|matplotlib|tqdm)|import matplotlib).*$", "", file.read())
    script = {}
    exec(compile(text.split("def train_mnist")[0], "script.py", "exec"), script)
    total = 40
    run = train(base, "context", "[model]\nplugin = cdiff\n[data]\nsource = idx\nn_train = 256\n"
                "n_test = 16\n[network]\narch = context_unet\nn_feat = 16\n[scheduler]\n"
                f"num_train_timesteps = {total}\n" + STEPS.format(20))
    kiln("export", run, "-o", f"{base}/context.safetensors")
    net = script["ContextUnet"](in_channels=1, n_feat=16, n_classes=10).eval()
    net.load_state_dict(load_file(f"{base}/context.safetensors"), strict=True)
    betas = torch.linspace(1e-4, 0.02, total + 1)  # the author's T + 1 betas
    scheduler = DDIMScheduler(num_train_timesteps=total + 1, trained_betas=betas.tolist(),
                              clip_sample=False, set_alpha_to_one=False, steps_offset=1)
    classes, mask = torch.arange(N) % 10, torch.zeros(N)

    def conditioned(x, t):
        return net(x, classes, (t / total).repeat(N).view(N, 1, 1, 1), mask)

    noise = normal(N, 1, 28, 28)
    theirs = ddim(conditioned, scheduler, noise, 8).clamp(0, 1)
    ours = draw(run, base, noise, "--sampler", "ddim", "--steps", 8, "--class", "all")
    report("context_unet", ours, theirs)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    models = {"ddpm": ddpm, "cdiff": lambda base: [cdiff(base, "embedding"),
                                                   cdiff(base, "adaptive_norm")],
              "vae": vae, "ncsn": ncsn, "wgan": wgan, "context_unet": context_unet}
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[3:] or models:
            models[name](folder)
    print(f"largest of all: {worst_of_all:.2e}")
    sys.exit(worst_of_all > 1e-3)
