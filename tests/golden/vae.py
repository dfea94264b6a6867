#!/usr/bin/env python3
"""Makes vae-*.safetensors. Versions: torch 2.15.0, diffusers 0.42.1, numpy 2.4.6, safetensors 0.8. Never run by the tests.

    python3 tests/golden/vae.py        (in the folder of the project)

The fully connected network is that of pytorch/examples vae (fc1, fc21, fc22, fc3, fc4).
"""
import pathlib

import torch
import torch.nn as nn
import torch.nn.functional as F
from diffusers.models.resnet import ResnetBlock2D

import philox
import training

HERE = pathlib.Path(__file__).parent


class Mixture(nn.Module):
    """The trained prior of network.prior = mixture."""

    def __init__(self, latent, components):
        super().__init__()
        self.logits = nn.Parameter(0.3 * torch.randn(components))
        self.means = nn.Parameter(torch.randn(components, latent))
        self.log_variances = nn.Parameter(0.3 * torch.randn(components, latent))

    def log_density(self, z):
        """[n], without -latent / 2 log(2 pi)."""
        off = (z[:, None] - self.means) ** 2 * torch.exp(-self.log_variances)
        return torch.logsumexp(torch.log_softmax(self.logits, 0) - 0.5 * (off + self.log_variances).sum(2), 1)


class Vae(nn.Module):
    """widths: of the strided convolutions; empty = fully connected. components: of the prior; 0 = N(0, 1)."""

    def __init__(self, channels, size, latent, hidden=0, widths=(), components=0):
        super().__init__()
        self.prior = Mixture(latent, components) if components else None
        self.shape, self.widths = (channels, size, size), widths
        pixels = channels * size * size
        self.side = size >> len(widths)
        if widths:
            ins, outs = (channels,) + widths[:-1], (channels,) + widths[:-1]
            self.encoder = nn.Sequential(*[m for i, o in zip(ins, widths) for m in (nn.Conv2d(i, o, 4, 2, 1), nn.ReLU())])
            hidden = widths[-1] * self.side**2
            self.fc3 = nn.Linear(latent, hidden)
            layers = [m for i, o in zip(widths[::-1], outs[::-1]) for m in (nn.ConvTranspose2d(i, o, 4, 2, 1), nn.ReLU())]
            self.decoder = nn.Sequential(*layers[:-1])
        else:
            self.fc1, self.fc3, self.fc4 = nn.Linear(pixels, hidden), nn.Linear(latent, hidden), nn.Linear(hidden, pixels)
        self.fc21, self.fc22 = nn.Linear(hidden, latent), nn.Linear(hidden, latent)

    def forward(self, x, step):
        h = self.encoder(x).flatten(1) if self.widths else F.relu(self.fc1(x.flatten(1)))
        mu, logvar = self.fc21(h), self.fc22(h)
        noise = torch.from_numpy(philox.normal(tuple(mu.shape), training.SEED, step, 1))
        z = mu + torch.exp(0.5 * logvar) * noise
        self.log_prior = self.prior.log_density(z) if self.prior else None
        return self.decode(z), mu, logvar

    def decode(self, z):
        h = F.relu(self.fc3(z))
        if self.widths:
            return self.decoder(h.view(-1, self.widths[-1], self.side, self.side))
        return self.fc4(h).view(-1, *self.shape)


class ResnetVae(nn.Module):
    """diffusers' ResnetBlock2D between halvings and doublings, with a latent vector."""

    def __init__(self, channels, height, width, latent, widths, layers, groups):
        super().__init__()

        def blocks(first, out):
            return nn.ModuleList([ResnetBlock2D(in_channels=first if i == 0 else out, out_channels=out,
                                                temb_channels=None, groups=groups, eps=1e-6) for i in range(layers)])

        def part(resnets, **extra):
            return nn.ModuleDict({"resnets": resnets, **extra})

        def sampler(name, width, stride):
            return {name: nn.ModuleList([nn.ModuleDict({"conv": nn.Conv2d(width, width, 3, stride, 1)})])}
        down, up, deepest = (widths[0],) + widths[:-1], (widths[-1],) + widths[:0:-1], widths[-1]
        self.small = deepest, height >> len(widths), width >> len(widths)
        features = deepest * self.small[1] * self.small[2]
        self.encoder = nn.ModuleDict({
            "conv_in": nn.Conv2d(channels, widths[0], 3, 1, 1),
            "down_blocks": nn.ModuleList([part(blocks(i, o), **sampler("downsamplers", o, 2)) for i, o in zip(down, widths)]),
            "mid_block": part(blocks(deepest, deepest)), "conv_norm_out": nn.GroupNorm(groups, deepest, 1e-6)})
        self.fc21, self.fc22, self.fc3 = nn.Linear(features, latent), nn.Linear(features, latent), nn.Linear(latent, features)
        self.decoder = nn.ModuleDict({
            "mid_block": part(blocks(deepest, deepest)),
            "up_blocks": nn.ModuleList([part(blocks(i, o), **sampler("upsamplers", o, 1)) for i, o in zip(up, widths[::-1])]),
            "conv_norm_out": nn.GroupNorm(groups, widths[0], 1e-6), "conv_out": nn.Conv2d(widths[0], channels, 3, 1, 1)})

    @staticmethod
    def run(part, x):
        for block in part["resnets"]:
            x = block(x, None)
        return x

    def forward(self, x, step):
        e, d = self.encoder, self.decoder
        h = e["conv_in"](x)
        for stage in e["down_blocks"]:
            h = stage["downsamplers"][0]["conv"](self.run(stage, h))
        h = F.silu(e["conv_norm_out"](self.run(e["mid_block"], h))).flatten(1)
        mu, logvar = self.fc21(h), self.fc22(h)
        noise = torch.from_numpy(philox.normal(tuple(mu.shape), training.SEED, step, 1))
        h = self.run(d["mid_block"], self.fc3(mu + torch.exp(0.5 * logvar) * noise).view(-1, *self.small))
        for stage in d["up_blocks"]:
            h = stage["upsamplers"][0]["conv"](F.interpolate(self.run(stage, h), scale_factor=2.0, mode="nearest"))
        return d["conv_out"](F.silu(d["conv_norm_out"](h))), mu, logvar


def loss_of(gaussian, beta):
    def loss(model, x, _label, step):
        logits, mu, logvar = model(x, step)
        if gaussian:
            sigma = 0.5
            error = (x - torch.sigmoid(logits)) ** 2 / (2 * sigma**2) + 0.91893853320467274178 + float(torch.log(torch.tensor(sigma, dtype=torch.float64)))
            reconstruction = error.sum()
        else:
            reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        if getattr(model, "prior", None):
            kl = -(0.5 * torch.sum(1 + logvar) + model.log_prior.sum())
        else:
            kl = -0.5 * torch.sum(1 + logvar - mu**2 - logvar.exp())
        return (reconstruction + beta * kl) / x.shape[0]
    return loss


def case(name, channels, size, latent, hidden=0, widths=(), gaussian=False, beta=1.0, batch=16, components=0):
    torch.manual_seed(1)
    lines = ["[model]", "plugin = vae", "[network]", f"arch = {'conv' if widths else 'mlp'}", f"latent_size = {latent}"]
    lines += [f"block_out_channels = {', '.join(map(str, widths))}"] if widths else [f"hidden_size = {hidden}"]
    lines += ["prior = mixture", f"prior_components = {components}"] if components else []
    lines += ["[train]", f"likelihood = {'gaussian' if gaussian else 'bernoulli'}", f"beta = {beta}", "likelihood_sigma = 0.5"]
    config = "\n".join(lines) + "\n"
    training.make(HERE / f"{name}.safetensors", config, Vae(channels, size, latent, hidden, widths, components),
                  loss_of(gaussian, beta), training.pictures(batch, channels, size, size))


def resnet(name, channels, height, width, latent, widths, layers=1, groups=4, batch=4, seed=1):
    torch.manual_seed(seed)
    model = ResnetVae(channels, height, width, latent, widths, layers, groups)
    config = (f"[model]\nplugin = vae\n[network]\narch = resnet\nlatent_size = {latent}\n"
              f"block_out_channels = {', '.join(map(str, widths))}\nlayers_per_block = {layers}\n"
              f"norm_num_groups = {groups}\n")
    training.make(HERE / f"{name}.safetensors", config, model, loss_of(False, 1.0),
                  training.pictures(batch, channels, height, width), drawn=training.draw(model))


if __name__ == "__main__":
    case("vae-mlp", 1, 8, 4, hidden=32)
    case("vae-mlp-wide", 1, 12, 10, hidden=100, batch=7)
    case("vae-mlp-gaussian", 3, 6, 5, hidden=24, gaussian=True, beta=0.5)
    case("vae-conv", 1, 8, 4, widths=(8, 16))
    case("vae-conv-blocked", 1, 16, 6, widths=(16, 32), batch=5)
    case("vae-conv-colour", 3, 12, 5, widths=(6, 10), gaussian=True)
    case("vae-mixture", 1, 8, 4, hidden=32, components=3)
    case("vae-mixture-colour", 3, 12, 5, widths=(6, 10), beta=0.5, components=7)
    resnet("vae-resnet", 1, 8, 8, 4, (8, 12))
    resnet("vae-resnet-blocked", 1, 16, 16, 6, (16, 32), groups=8, batch=3)
    resnet("vae-resnet-colour", 3, 8, 12, 5, (8,), layers=2, batch=3, seed=4)
