#!/usr/bin/env python3
"""Kiln's training and sampling steps beside PyTorch's, of all five model families, in turns on one machine.

    tests/bench/peer_steps.py build/kiln [--device cpu] [--model vae ddpm ...] [--rounds 5] [--compile] [--memory]

Run it with the Python that has the PyTorch to compare with. Both run the same networks (those of tests/golden, written
for PyTorch) at the same batch on two threads. PyTorch runs in the better of its two memory formats, which a first round
finds out, and with denormals flushed; --compile puts torch.compile there instead. Kiln's time is its clock's between
two logged steps of kiln train, and between two lengths of kiln sample, so loading of data, reading of the loss and
writing of the log are in it, and in PyTorch's they are not.

Prints the medians, and the median of the ratios round by round; --memory prints the largest resident size of a process
that trains instead. --results appends each row to a file of JSON lines.
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace

import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "golden"))

import context_unet  # noqa: E402
import refinenet  # noqa: E402
import vae  # noqa: E402
import wgan  # noqa: E402
from kiln_steps import Kiln  # noqa: E402

THREADS = 2


# --- PyTorch's side: each makes (network, optimiser step, sampling step) ---------------------------------------------

def like(x, channels_last):
    return x.to(memory_format=torch.channels_last) if channels_last else x


@torch.no_grad()
def clamp(parameters, limit):
    if hasattr(torch, "_foreach_clamp_min_"):
        torch._foreach_clamp_min_(parameters, -limit)
        torch._foreach_clamp_max_(parameters, limit)
    else:  # PyTorch 1.13
        for p in parameters:
            p.clamp_(-limit, limit)


def make_vae(wrap, _channels_last):
    net = vae.Vae(1, 28, 20, hidden=400)
    x = torch.rand(128, 784)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def loss():
        h = F.relu(net.fc1(x))
        mean, log_variance = net.fc21(h), net.fc22(h)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        logits = net.fc4(F.relu(net.fc3(z)))
        return (F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
                - 0.5 * torch.sum(1 + log_variance - mean**2 - log_variance.exp())) / len(x)

    def draw(z):
        return torch.sigmoid(net.fc4(F.relu(net.fc3(z))))
    loss, draw = wrap(loss), wrap(draw)

    def train():
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()
    return train, lambda: draw(torch.randn(128, 20))


def make_gan(kind, generator, critic, size, latent, optimizer_of):
    def make(wrap, channels_last):
        g, d = (wrap(n.to(memory_format=torch.channels_last) if channels_last else n) for n in (generator(), critic()))
        real = like(torch.rand(64, 1, size, size) * 2 - 1, channels_last)
        on_g, on_d = optimizer_of(g.parameters()), optimizer_of(d.parameters())

        def fake():
            return g(torch.randn(64, latent, 1, 1))

        def train():
            with torch.no_grad():
                drawn = fake()
            on_d.zero_grad(set_to_none=True)
            value = d(drawn).mean() - d(real).mean()
            if kind == "wgan-gp":
                between = (real + torch.rand(64, 1, 1, 1) * (drawn - real)).requires_grad_()
                slope, = torch.autograd.grad(d(between).sum(), between, create_graph=True)
                value = value + 10 * ((torch.sqrt((slope**2).flatten(1).sum(1) + 1e-12) - 1) ** 2).mean()
            value.backward()
            on_d.step()
            if kind == "wgan":
                clamp(list(d.parameters()), 0.01)
            on_g.zero_grad(set_to_none=True)
            (-d(fake()).mean()).backward()
            on_g.step()
        return train, fake
    return make


def diffusion(net, wrap, channels_last, run, batch, extra_batch):
    """Training on the noise's mean squared error; a sampling step of run(net, 2 B or B pictures)."""
    net = like(net, channels_last)
    run_net = wrap(net)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    x = like(torch.rand(batch, 1, 28, 28) * 2 - 1, channels_last)
    bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0)

    def train():
        net.train()
        t, noise = torch.randint(0, 1000, (batch,)), torch.randn_like(x)
        a = bar[t].view(-1, 1, 1, 1)
        optimizer.zero_grad(set_to_none=True)
        F.mse_loss(run(run_net, a.sqrt() * x + (1 - a).sqrt() * noise, t), noise).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()

    def sample():
        net.eval()
        pictures = x.repeat(extra_batch, 1, 1, 1) if extra_batch > 1 else x
        e = run(run_net, pictures, torch.full((len(pictures),), 500))
        if extra_batch > 1:
            e = 1.5 * e[:batch] - 0.5 * e[batch:]
        return (x - 0.1 * e) * 1.01
    return train, sample


def make_ddpm(wrap, channels_last):
    import diffusers
    net = diffusers.UNet2DModel(sample_size=28, in_channels=1, out_channels=1, attention_head_dim=None,
                                block_out_channels=(32, 64, 64), layers_per_block=2, norm_num_groups=8,
                                down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
                                up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"))
    return diffusion(net, wrap, channels_last, lambda n, x, t: n(x, t, return_dict=False)[0], 64, 1)


def make_cdiff(wrap, channels_last):
    net = context_unet.ContextUnet(1, 64, 10)

    def run(n, x, t):
        return n(x, t.float() / 1000, torch.arange(len(x)) % 11)
    return diffusion(net, wrap, channels_last, run, 64, 2)


def make_ncsn(wrap, channels_last):
    net = like(refinenet.RefineNet(1, 32, 10), channels_last)
    run_net = wrap(net)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    x, sigmas = like(torch.rand(64, 1, 28, 28), channels_last), torch.exp(torch.linspace(0, -4.6, 10))

    def train():
        level = torch.randint(0, 10, (64,))
        sigma = sigmas[level].view(-1, 1, 1, 1)
        noise = torch.randn_like(x) * sigma
        optimizer.zero_grad(set_to_none=True)
        score = run_net(x + noise, level) / sigma
        (0.5 * ((score + noise / sigma**2) ** 2).flatten(1).sum(1) * sigma.view(-1) ** 2).mean().backward()
        optimizer.step()

    def sample():
        level = torch.full((64,), 5)
        return x + 1e-3 * run_net(x, level) / 0.1 + 0.01 * torch.randn_like(x)
    return train, sample


# --- Kiln's side ------------------------------------------------------------------------------------------------------

def adam(parameters):
    return torch.optim.Adam(parameters, lr=1e-4, betas=(0.5, 0.9))


def rmsprop(parameters):
    return torch.optim.RMSprop(parameters, lr=5e-5)


GAN_SETS = ["train.critic_steps=1", "network.features=64", "train.batch_size=64"]
# short and long are two lengths of sampling; units: how many steps of PyTorch's the longer one has more
MODELS = {
    "vae": SimpleNamespace(make=make_vae, config="vae.ini", sets=[], steps=1200,
                           short=["-n", "1280"], long=["-n", "65280"], units=500),
    "wgan": SimpleNamespace(
        make=make_gan("wgan", lambda: wgan.dcgan_generator(32, 100, 1, 64, 0), lambda: wgan.dcgan_critic(32, 1, 64, 0, True),
                      32, 100, rmsprop),
        config="wgan.ini", sets=GAN_SETS + ["train.critic_warmup=false"], steps=40,
        short=["-n", "64"], long=["-n", "3264"], units=50),
    "wgan-gp": SimpleNamespace(
        make=make_gan("wgan-gp", lambda: wgan.PairGenerator(128, 1, 64), lambda: wgan.PairCritic(1, 64), 28, 128, adam),
        config="wgan-gp.ini", sets=GAN_SETS, steps=24, short=["-n", "64"], long=["-n", "3264"], units=50),
    "ddpm": SimpleNamespace(make=make_ddpm, config="ddpm.ini", sets=[], steps=16,
                            short=["-n", "64", "--sampler", "ddim", "--steps", "2"],
                            long=["-n", "64", "--sampler", "ddim", "--steps", "26"], units=24),
    "ncsn": SimpleNamespace(make=make_ncsn, config="ncsn.ini", sets=["noise.sigma_begin=15", "noise.num_scales=10"], steps=12,
                            short=["-n", "64", "--sampler", "ald", "--set", "noise.steps_per_scale=1"],
                            long=["-n", "64", "--sampler", "ald", "--set", "noise.steps_per_scale=3"], units=20),
    "cdiff": SimpleNamespace(make=make_cdiff, config="cdiff-context.ini", sets=["train.batch_size=64"], steps=12,
                             short=["-n", "64", "--sampler", "ddim", "--steps", "2", "--guidance", "1.5"],
                             long=["-n", "64", "--sampler", "ddim", "--steps", "18", "--guidance", "1.5"], units=16),
}


def kiln_train(kiln, model):
    return kiln.train(model.name, model.config, model.sets, model.steps)


def kiln_sample(kiln, model):
    return (kiln.sample(model.name, *model.long) - kiln.sample(model.name, *model.short)) / model.units


# --- both in turns ------------------------------------------------------------------------------------------------------

def seconds_of(step, seconds):
    n, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds or n < 3:
        step()
        n += 1
    return (time.perf_counter() - start) / n


class Torch:
    """PyTorch's steps of a model in its better memory format."""

    def __init__(self, model, compiled):
        wrap = torch.compile if compiled else lambda x: x
        best = None
        for channels_last in (False, True):
            torch.manual_seed(0)
            torch._dynamo.reset() if compiled else None
            train, sample = model.make(wrap, channels_last)
            steps = {"train": train, "sample": torch.no_grad()(sample)}
            times = {}
            for what, step in steps.items():
                step(), step()
                times[what] = seconds_of(step, 1)
            best = best or {}
            for what, step in steps.items():
                if what not in best or times[what] < best[what][0]:
                    best[what] = (times[what], step)
        self.steps = {what: step for what, (_, step) in best.items()}

    def seconds(self, what):
        self.steps[what]()
        return seconds_of(self.steps[what], 2)


def compare(kiln, model, arguments):
    peer = Torch(model, arguments.compile)
    kiln_train(kiln, model)  # choices are measured, programs built
    rows = []
    for what in arguments.what:
        pairs = []
        for _ in range(arguments.rounds):
            ours = (kiln_train if what == "train" else kiln_sample)(kiln, model)
            pairs.append((ours, peer.seconds(what)))
        row = {"model": model.name, "what": what, "device": arguments.device, "torch": torch.__version__,
               "compiled": arguments.compile, "kiln_ms": round(statistics.median(p[0] for p in pairs) * 1e3, 3),
               "torch_ms": round(statistics.median(p[1] for p in pairs) * 1e3, 3),
               "ratio": round(statistics.median(p[1] / p[0] for p in pairs), 3)}
        print(f"{model.name:<8} {what:<7} kiln {row['kiln_ms']:>9.2f} ms   torch {row['torch_ms']:>9.2f} ms   ratio "
              f"{row['ratio']:.2f}", flush=True)
        rows.append(row)
    return rows


def torch_memory(name):
    command = [sys.executable, __file__, "-", "--alone", name]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.split()[-1])


def alone(model):
    """Trains a few steps and prints the largest resident size in MiB."""
    train, _ = model.make(lambda x: x, False)
    for _ in range(6):
        train()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kiln")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--model", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--what", nargs="+", choices=("train", "sample"), default=["train", "sample"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--alone", choices=MODELS, help=argparse.SUPPRESS)
    parser.add_argument("--results", type=pathlib.Path)
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    torch.set_flush_denormal(True)
    for name, model in MODELS.items():
        model.name = name
    if arguments.compile and "wgan-gp" in arguments.model:
        print("wgan-gp left out: torch.compile has no double backward")
        arguments.model.remove("wgan-gp")
    if arguments.alone:
        alone(MODELS[arguments.alone])
        return
    rows = []
    with tempfile.TemporaryDirectory(prefix="kiln-peer-") as folder:
        kiln = Kiln(os.path.abspath(arguments.kiln), arguments.device, folder, THREADS)
        for name in arguments.model:
            if arguments.memory:
                ours, theirs = kiln.memory(name, MODELS[name].config, MODELS[name].sets), torch_memory(name)
                print(f"{name:<8} kiln {ours:.0f} MiB   torch {theirs:.0f} MiB   share {ours / theirs:.2f}", flush=True)
                continue
            new = compare(kiln, MODELS[name], arguments)
            rows += new
            if arguments.results:
                with arguments.results.open("a") as file:
                    file.writelines(json.dumps(row) + "\n" for row in new)
    for what in arguments.what:
        ratios = [r["ratio"] for r in rows if r["what"] == what]
        if ratios:
            print(f"{what}: geometric mean {statistics.geometric_mean(ratios):.2f}, least {min(ratios):.2f}")


main()
