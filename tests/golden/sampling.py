#!/usr/bin/env python3
"""Makes samples-*.safetensors. Versions: diffusers 0.42.1, torch 2.15.0. Never run by the tests.

    python3 tests/golden/sampling.py        (in the folder of the project)

A file holds the noise that sampling starts from, labels [B], and what a sampler makes of it (samples.RUN, pictures in
0..1 or points). Its metadata names the training golden whose first state is sampled from ("weights"), the
configuration and the runs, a line "NAME SAMPLER STEPS GUIDANCE" each. Nothing random is injected (noise_scale = 0).
Where the weights decide much, they are trained first, and are in the file itself as f16 (init.NAME); x.0 is then there
for its shape.
"""
import configparser
import pathlib
import sys

import diffusers
import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

import cdiff as cdiff_golden
import ddpm as ddpm_golden
import ncsn
import philox
import training
import vae
import wgan
from context_unet import ContextUnet
from refinenet import RefineNet

HERE = pathlib.Path(__file__).parent
SCHEDULERS = {
    "ddpm": diffusers.DDPMScheduler,
    "ddim": diffusers.DDIMScheduler, "dpmpp_2m": diffusers.DPMSolverMultistepScheduler, "pndm": diffusers.PNDMScheduler,
    "heun": diffusers.HeunDiscreteScheduler, "euler": diffusers.EulerDiscreteScheduler,
}


class Golden:
    """A training golden's configuration, first state and batch shape."""

    def __init__(self, name):
        self.name = name
        with safe_open(HERE / f"{name}.safetensors", "np") as file:
            self.text = file.metadata()["config"]
            self.classes = int(file.metadata().get("classes", 0))
            self.state = {k[5:]: torch.from_numpy(file.get_tensor(k)) for k in file.keys() if k.startswith("init.")}
            self.shape = file.get_tensor("x.0").shape
            drawn = file.metadata().get("drawn", "")
        self.drawn = [line.split() for line in drawn.splitlines()]
        self.trained = False
        self.config = configparser.ConfigParser()
        self.config.read_string(self.text)

    def fill(self, model):
        shapes = {k: v.shape for k, v in model.state_dict().items()}
        for i, (name, bound) in enumerate(self.drawn):
            u = philox.uniform((1, int(np.prod(shapes[name]))), 0, 0, i).astype(np.float64)
            self.state[name] = torch.from_numpy(((2 * u - 1) * float(bound)).astype(np.float32).reshape(shapes[name]))
        model.load_state_dict(self.state)
        return model.eval()

    def train(self, model, loss_of, steps=600, lr=2e-3):
        """Trains on pictures that are the brighter the higher their class; the weights become halves."""
        _, channels, height, width = self.shape
        data = training.pictures(12, channels, height, width)
        labels = training.labels(12, max(self.classes, 1))
        data = (data * ((labels + 1) / max(self.classes, 1))[..., None, None, None]).astype(np.uint8)
        optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        with torch.enable_grad():
            model.train()
            for i in range(steps):
                optimizer.zero_grad()
                k = i % training.STEPS
                loss = loss_of(model, training.as_float(data[k]), torch.from_numpy(labels[k]), i + 1)
                loss.backward()
                optimizer.step()
        print(self.name, "trained to", loss.item())
        self.state = {k: v.half().float() if v.is_floating_point() else v for k, v in model.state_dict().items()}
        self.trained, self.drawn = True, []
        return self.fill(model)

    def unet(self, planes=0, **extra):
        keys = {k: v if k.startswith(("act", "resnet", "downsample_type", "upsample_type")) else
                tuple(v.split(", ")) if k.endswith("types") else eval(v.title()) for k, v in self.config["network"].items()
                if k != "condition"}
        if keys.get("attention_head_dim") == 0:
            keys["attention_head_dim"] = None
        _, channels, height, _ = self.shape
        return self.fill(diffusers.UNet2DModel(sample_size=height, in_channels=channels + planes, out_channels=channels,
                                               **keys, **extra))

    def schedule(self):
        s = self.config["scheduler"]
        return {"num_train_timesteps": int(s["num_train_timesteps"]), "beta_schedule": s.get("beta_schedule", "linear"),
                "prediction_type": s.get("prediction_type", "epsilon"), "beta_start": 0.0001, "beta_end": 0.02}


def save(golden, noise, results, label=None, config="", name=None, weights=None):
    """results: (run's name, sampler, steps, guidance, samples)."""
    tensors = {"noise": noise.numpy()} | {f"samples.{r[0]}": r[4].numpy() for r in results}
    if label is not None:
        tensors["label"] = label.numpy().astype(np.int32)
    metadata = {"weights": f"{weights or golden.name}.safetensors"}
    if golden.trained:
        metadata = {}
        tensors["x.0"] = np.zeros(golden.shape, np.uint8)
        for k, v in golden.state.items():
            tensors[f"init.{k}"] = v.numpy().astype(np.float16 if v.is_floating_point() else np.int32)
    path = HERE / f"samples-{name or golden.name}.safetensors"
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, path,
              {**metadata, "config": golden.text + config, "classes": str(golden.classes),
               "runs": "\n".join(f"{r[0]} {r[1]} {r[2]} {r[3]}" for r in results), "torch": torch.__version__,
               "diffusers": diffusers.__version__})
    path.chmod(0o644)
    for r in results:
        v = r[4]
        assert torch.isfinite(v).all()
        print(golden.name, r[0], f"{v.min():.3g} .. {v.max():.3g}, moved {(v - noise).abs().max():.3g}"
              if v.shape == noise.shape else "")


def diffuse(golden, network, noise, sampler, steps, **options):
    """network(x, t) -> prediction."""
    scheduler = SCHEDULERS[sampler](**golden.schedule(), **options)
    scheduler.set_timesteps(steps)
    x = noise * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        x = scheduler.step(network(scheduler.scale_model_input(x, t), t), t, x).prev_sample
    return x / 2 + 0.5


def ddpm(name, samplers):
    golden = Golden(name)
    schedule = golden.schedule()
    loss = ddpm_golden.loss_of(schedule["beta_schedule"], schedule["num_train_timesteps"], schedule["prediction_type"], 0)
    model = golden.train(golden.unet(), lambda m, x, _label, step: loss(m, x, None, step))
    noise = torch.randn(golden.shape)
    save(golden, noise, [(s, s, n, 1, diffuse(golden, lambda x, t: model(x, t).sample, noise, s, n)) for s, n in samplers])


def limited(name, base, runs, **options):
    """Options of the scheduler that limit the predicted picture, on weights that another run trained."""
    golden = Golden(base)
    with safe_open(HERE / f"samples-{base}.safetensors", "np") as file:
        golden.state = {k[5:]: torch.from_numpy(file.get_tensor(k)).float() for k in file.keys() if k.startswith("init.")}
    golden.drawn = []
    model, noise = golden.unet(), torch.randn(golden.shape)
    results = [(s, s, n, 1, diffuse(golden, lambda x, t: model(x, t).sample, noise, s, n, **options)) for s, n in runs]
    lines = "".join(f"{k} = {str(v).lower()}\n" for k, v in options.items())
    golden.text = golden.text.replace("[scheduler]\n", "[scheduler]\n" + lines)
    save(golden, noise, results, name=name, weights=f"samples-{base}")


def guided(conditional, null, guidance):
    return null + guidance * (conditional - null)


def cdiff(name, runs):
    golden = Golden(name)
    condition = golden.config["network"]["condition"]
    null = golden.classes
    if condition == "concat":
        model = golden.unet(planes=null)

        def evaluate(x, t, label):
            planes = torch.nn.functional.one_hot(label, null + 1)[:, :-1, None, None].float()
            return model(torch.cat([x, planes.expand(-1, -1, *x.shape[2:])], 1), t).sample
    else:
        extra = {"resnet_time_scale_shift": "scale_shift"} if condition == "adaptive_norm" else {}
        model = golden.unet(num_class_embeds=null + 1, **extra)

        def evaluate(x, t, label):
            return model(x, t, class_labels=label).sample
    steps, dropout = golden.schedule()["num_train_timesteps"], float(golden.config["train"]["label_dropout"])
    golden.train(model, cdiff_golden.unet_loss(steps, dropout, condition == "concat"))
    noise, label = torch.randn(golden.shape), torch.arange(golden.shape[0]) % null
    results = []
    for sampler, steps, w in runs:
        def network(x, t, w=w):
            on_label = evaluate(x, t, label)
            return on_label if w == 1 else guided(on_label, evaluate(x, t, torch.full_like(label, null)), w)
        results.append((f"{sampler}-{w}", sampler, steps, w, diffuse(golden, network, noise, sampler, steps)))
    save(golden, noise, results, label)


def context(name, guidance):
    """The author's loop without its noise; his guide_w is guidance - 1."""
    golden = Golden(name)
    steps, n_feat = int(golden.config["scheduler"]["num_train_timesteps"]), int(golden.config["network"]["n_feat"])
    model = golden.fill(ContextUnet(golden.shape[1], n_feat, golden.classes))
    golden.train(model, cdiff_golden.context_loss(steps, float(golden.config["train"]["label_dropout"])), steps=500)
    beta = torch.linspace(1e-4, 0.02, steps + 1, dtype=torch.float64)
    bar = torch.cumprod(1 - beta, 0)
    noise, label = torch.randn(golden.shape), torch.arange(golden.shape[0]) % golden.classes
    x = noise
    for i in range(steps, 0, -1):
        time = torch.full((len(x),), i / steps)
        e = guided(model(x, time, label), model(x, time, torch.full_like(label, golden.classes)), guidance)
        x = (x - e * float(beta[i] / (1 - bar[i]).sqrt())) / float((1 - beta[i]).sqrt())
    save(golden, noise, [("ddpm", "ddpm", steps, guidance, x)], label)


def annealed(name, steps, step_size):
    """ermongroup/ncsnv2's annealed Langevin dynamics with its last denoising step."""
    golden = Golden(name)
    noise_keys, network = golden.config["noise"], golden.config["network"]
    begin = float(noise_keys["sigma_begin"])
    sigmas = ncsn.ladder(begin, float(noise_keys["sigma_end"]), int(noise_keys["num_scales"]))
    points, ngf = network["arch"] == "mlp", int(network["ngf"])
    divide = network["divide_by_sigma"] == "true"
    model = golden.fill(ncsn.Mlp(ngf, begin) if points else
                        RefineNet(golden.shape[1], ngf, len(sigmas), network["conditional"] == "true"))

    if not points:
        golden.train(model, ncsn.loss_of(sigmas, divide), steps=300)

    def score(x, i):
        out = model(x, sigmas[i].expand(len(x), 1)) if points else model(x, torch.full((len(x),), i))
        return out / sigmas[i] if divide else out

    noise = torch.rand(golden.shape)
    x = (noise - 0.5) * 2 * begin if points else noise
    for i, sigma in enumerate(sigmas):
        for _ in range(steps):
            x = x + step_size * float(sigma / sigmas[-1]) ** 2 * score(x, i)
    x = x + float(sigmas[-1]) ** 2 * score(x, len(sigmas) - 1)
    save(golden, noise, [("ald", "ald", steps, 1, x)], config=f"step_size = {step_size}\n")


def prior(name):
    """DCGAN's generator with its running statistics."""
    golden = Golden(name)
    _, channels, size, _ = golden.shape
    keys = {k: int(golden.config["network"][k]) for k in ("latent_size", "features", "extra_layers")}
    generator = wgan.dcgan_generator(size, keys["latent_size"], channels, keys["features"], keys["extra_layers"])
    golden.state = {k[10:]: v for k, v in golden.state.items() if k.startswith("generator.")}
    noise = torch.randn(golden.shape[0], keys["latent_size"])
    save(golden, noise, [("prior", "prior", 0, 1, golden.fill(generator)(noise[:, :, None, None]) / 2 + 0.5)])


def mixture(name):
    """A VAE whose prior is a mixture: the component is the largest of log weight + Gumbel noise."""
    golden = Golden(name)
    _, channels, size, _ = golden.shape
    network = golden.config["network"]
    latent, components = int(network["latent_size"]), int(network["prior_components"])
    widths = tuple(map(int, network["block_out_channels"].split(", ")))
    model = golden.fill(vae.Vae(channels, size, latent, widths=widths, components=components))
    noise, prior = torch.randn(golden.shape[0], latent), model.prior
    u = torch.from_numpy(philox.uniform((len(noise), components), 0, 0, 2))
    chosen = (torch.log_softmax(prior.logits, 0) - torch.log(-torch.log(u))).argmax(1)
    z = prior.means[chosen] + torch.exp(0.5 * prior.log_variances[chosen]) * noise
    save(golden, noise, [("prior", "prior", 0, 1, torch.sigmoid(model.decode(z)))])


torch.manual_seed(11)
torch.set_num_threads(1)
with torch.no_grad():
    ddpm("ddpm-small", [("ddim", 20), ("dpmpp_2m", 12), ("heun", 8), ("euler", 15), ("pndm", 10)])
    ddpm("ddpm-blocked", [("ddim", 10), ("dpmpp_2m", 15)])
    sys.modules[diffusers.DDPMScheduler.__module__].randn_tensor = lambda shape, **_: torch.zeros(shape)
    limited("ddpm-threshold", "ddpm-small", [("ddim", 12), ("dpmpp_2m", 10), ("ddpm", 15)], thresholding=True,
            dynamic_thresholding_ratio=0.9, sample_max_value=1.6)
    limited("ddpm-zero-snr", "ddpm-blocked", [("ddim", 12), ("ddpm", 20)], clip_sample_range=0.8,
            rescale_betas_zero_snr=True, timestep_spacing="trailing")
    cdiff("cdiff-embedding", [("ddim", 15, 3), ("ddim", 15, 1), ("dpmpp_2m", 10, 1.5)])
    cdiff("cdiff-concat", [("euler", 10, 2)])
    context("cdiff-context-colour", 3)
    annealed("ncsn-refinenet", 3, 5e-4)
    annealed("ncsn-conditional", 3, 5e-4)
    annealed("ncsn-mlp", 5, 2e-3)
    prior("wgan-dcgan-critic")
    mixture("vae-mixture-colour")
