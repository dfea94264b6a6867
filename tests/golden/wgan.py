#!/usr/bin/env python3
"""Makes wgan-*.safetensors. Versions: torch 2.15.0. Never run by the tests.

    python3 tests/golden/wgan.py        (in the folder of the project)

dcgan is DCGAN_G and DCGAN_D of martinarjovsky/WassersteinGAN, written anew with the same state_dicts; pair28 the
networks of improved WGAN training for 28x28 pictures, with TensorFlow's SAME padding.
"""
import pathlib

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import philox
import training

HERE = pathlib.Path(__file__).parent
STREAM_LATENT, STREAM_MIX = 1, 2


class Main(nn.Module):
    """A chain of named layers under "main"."""

    def __init__(self, layers):
        super().__init__()
        self.main = nn.Sequential()
        for name, layer in layers:
            self.main.add_module(name, layer)
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.normal_(layer.weight, 0, 0.02)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1, 0.02)

    def forward(self, x):
        return self.main(x)


def dcgan_generator(size, latent, channels, features, extra):
    c = features * size // 8
    layers = [(f"initial:{latent}-{c}:convt", nn.ConvTranspose2d(latent, c, 4, bias=False)),
              (f"initial:{c}:batchnorm", nn.BatchNorm2d(c)), (f"initial:{c}:relu", nn.ReLU())]
    side = 4
    while side < size // 2:
        layers += [(f"pyramid:{c}-{c // 2}:convt", nn.ConvTranspose2d(c, c // 2, 4, 2, 1, bias=False)),
                   (f"pyramid:{c // 2}:batchnorm", nn.BatchNorm2d(c // 2)), (f"pyramid:{c // 2}:relu", nn.ReLU())]
        side, c = 2 * side, c // 2
    for t in range(extra):
        layers += [(f"extra-layers-{t}:{c}:conv", nn.Conv2d(c, c, 3, 1, 1, bias=False)),
                   (f"extra-layers-{t}:{c}:batchnorm", nn.BatchNorm2d(c)), (f"extra-layers-{t}:{c}:relu", nn.ReLU())]
    layers += [(f"final:{c}-{channels}:convt", nn.ConvTranspose2d(c, channels, 4, 2, 1, bias=False)),
               (f"final:{channels}:tanh", nn.Tanh())]
    return Main(layers)


def dcgan_critic(size, channels, features, extra, norm):
    c = features
    layers = [(f"initial:{channels}-{c}:conv", nn.Conv2d(channels, c, 4, 2, 1, bias=False)),
              (f"initial:{c}:relu", nn.LeakyReLU(0.2))]

    def block(name, conv, width):
        layers.append((name, conv))
        prefix = name.split(":")[0]
        if norm:
            layers.append((f"{prefix}:{width}:batchnorm", nn.BatchNorm2d(width)))
        layers.append((f"{prefix}:{width}:relu", nn.LeakyReLU(0.2)))

    for t in range(extra):
        block(f"extra-layers-{t}:{c}:conv", nn.Conv2d(c, c, 3, 1, 1, bias=False), c)
    side = size // 2
    while side > 4:
        block(f"pyramid:{c}-{2 * c}:conv", nn.Conv2d(c, 2 * c, 4, 2, 1, bias=False), 2 * c)
        side, c = side // 2, 2 * c
    layers.append((f"final:{c}-1:conv", nn.Conv2d(c, 1, 4, bias=False)))
    return Main(layers)


class Same(nn.Module):
    """5x5 with stride 2 and TensorFlow's padding (1 before, 2 after; an odd map 2 and 2), or its transpose."""

    def __init__(self, channels, features, transposed=False):
        super().__init__()
        self.transposed = transposed
        kind = nn.ConvTranspose2d if transposed else nn.Conv2d
        layer = kind(channels, features, 5)
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x):
        if self.transposed:
            side = 2 * x.shape[2]
            return F.conv_transpose2d(x, self.weight, self.bias, 2)[:, :, 1:1 + side, 1:1 + side]
        before, after = (1, 2) if x.shape[2] % 2 == 0 else (2, 2)
        return F.conv2d(F.pad(x, (before, after, before, after)), self.weight, self.bias, 2)


class PairGenerator(nn.Module):
    def __init__(self, latent, channels, c):
        super().__init__()
        self.input = nn.Linear(latent, 64 * c)
        self.deconv1, self.deconv2, self.deconv3 = Same(4 * c, 2 * c, True), Same(2 * c, c, True), Same(c, channels, True)

    def forward(self, z):
        x = F.relu(self.input(z.flatten(1))).unflatten(1, (-1, 4, 4))
        x = F.relu(self.deconv1(x))[:, :, :7, :7]
        return torch.sigmoid(self.deconv3(F.relu(self.deconv2(x))))


class PairCritic(nn.Module):
    def __init__(self, channels, c):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = Same(channels, c), Same(c, 2 * c), Same(2 * c, 4 * c)
        self.output = nn.Linear(64 * c, 1)

    def forward(self, x):
        for conv in (self.conv1, self.conv2, self.conv3):
            x = F.leaky_relu(conv(x), 0.2)
        return self.output(x.flatten(1))


class Gan(nn.Module):
    def __init__(self, generator, critic):
        super().__init__()
        self.generator, self.critic = generator, critic


def penalty_of(critic, real, fake, step):
    share = torch.from_numpy(philox.uniform((len(real), 1, 1, 1), training.SEED, step, STREAM_MIX))
    between = (real + share * (fake - real)).requires_grad_()
    slope, = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    norm = torch.sqrt((slope**2).flatten(1).sum(1) + 1e-12)
    return ((norm - 1) ** 2).mean()


def loss_of(kind, phase, latent, centred, weight):
    def loss(model, x, _label, step):
        real = 2 * x - 1 if centred else x
        z = torch.from_numpy(philox.normal((len(x), latent), training.SEED, step, STREAM_LATENT))
        fake = model.generator(z[:, :, None, None])
        if phase == "generator":
            score = model.critic(fake).flatten()
            return {"gan": F.softplus(-score), "gan-saturating": -F.softplus(score)}.get(kind, -score).mean()
        fake = fake.detach()
        on_real, on_fake = model.critic(real).flatten(), model.critic(fake).flatten()
        others = {"wasserstein": on_real.mean() - on_fake.mean()}
        if kind.startswith("gan"):
            return F.softplus(-on_real).mean() + F.softplus(on_fake).mean(), others
        value = -others["wasserstein"]
        if kind == "wgan-gp":
            others["penalty"] = penalty_of(model.critic, real, fake, step)
            value = value + weight * others["penalty"]
        return value, others
    return loss


def case(name, arch, phase, kind, channels=1, size=28, latent=6, features=4, extra=0, norm=True, clamp=0, weight=10,
         batch=6, seed=1, lr=1e-3):
    torch.manual_seed(seed)
    if arch == "dcgan":
        model = Gan(dcgan_generator(size, latent, channels, features, extra),
                    dcgan_critic(size, channels, features, extra, norm))
    else:
        model = Gan(PairGenerator(latent, channels, features), PairCritic(channels, features))
    config = f"[model]\nplugin = wgan\n[network]\narch = {arch}\nlatent_size = {latent}\nfeatures = {features}\n" \
        f"extra_layers = {extra}\ncritic_norm = {str(norm).lower()}\n[train]\nloss = {kind}\nclamp = {clamp}\n" \
        f"gp_weight = {weight}\n"
    drawn = training.draw(model) if arch == "pair28" else ""
    # losses are differences of scores and may pass 0
    training.make(HERE / f"{name}.safetensors", config, model, loss_of(kind, phase, latent, arch == "dcgan", weight),
                  training.pictures(batch, channels, size, size), tolerance="1e-4", lr=lr, group=f"{phase}.",
                  clamp=clamp if phase == "critic" else 0, drawn=drawn, phase=phase, loss_scale="rms")


if __name__ == "__main__":
    case("wgan-dcgan-critic", "dcgan", "critic", "wgan", size=16, extra=1, clamp=0.02)
    case("wgan-dcgan-generator", "dcgan", "generator", "wgan", channels=3, size=16, features=4)
    case("wgan-dcgan-penalty", "dcgan", "critic", "wgan-gp", size=16, features=8, norm=False)
    case("wgan-dcgan-classic", "dcgan", "critic", "gan", size=8, features=8)
    case("wgan-pair-penalty", "pair28", "critic", "wgan-gp", batch=4)
    case("wgan-pair-generator", "pair28", "generator", "gan", batch=4)
    case("wgan-pair-saturating", "pair28", "generator", "gan-saturating", channels=3, features=2, batch=4)
