#!/usr/bin/env python3
"""Makes samplers.json: trajectories of diffusers' schedulers on a made-up network.

Versions: diffusers 0.42.1, torch 2.15.0, numpy 2.4.6. Never run by the tests.

    python3 tests/golden/samplers.py > tests/golden/samplers.json

The network is out = 0.3 x_in + sin(t / 100 + x_in); the noise of iteration i is z = cos(i + 1 + (0, 1, 2)). Each
case holds the constructor's arguments and x after every iteration.
"""
import json
import math
import sys

import diffusers
import torch

SCHEDULERS = {
    "ddpm": diffusers.DDPMScheduler, "ddim": diffusers.DDIMScheduler, "dpmpp_2m": diffusers.DPMSolverMultistepScheduler,
    "heun": diffusers.HeunDiscreteScheduler, "euler": diffusers.EulerDiscreteScheduler,
    "euler_ancestral": diffusers.EulerAncestralDiscreteScheduler, "pndm": diffusers.PNDMScheduler,
}
iteration = 0


def noise(shape, **_):
    return torch.cos(iteration + 1 + torch.arange(3.0)).reshape(shape)


def patch():
    for scheduler in SCHEDULERS.values():
        module = sys.modules[scheduler.__module__]
        if hasattr(module, "randn_tensor"):
            module.randn_tensor = noise


def run(name, steps, eta=0.0, **arguments):
    global iteration
    options = {"beta_start": 0.0001, "beta_end": 0.02, **arguments}
    if name in ("ddpm", "ddim"):
        options.setdefault("clip_sample", False)
    scheduler = SCHEDULERS[name](**options)
    scheduler.set_timesteps(steps)
    x = torch.tensor([[[[0.5, -1.0, 0.1]]]]) * scheduler.init_noise_sigma
    points = []
    for i, t in enumerate(scheduler.timesteps):
        iteration = i
        x_in = scheduler.scale_model_input(x, t)
        out = 0.3 * x_in + torch.sin(float(t) / 100 + x_in)
        extra = {"eta": eta} if name == "ddim" else {}
        x = scheduler.step(out, t, x, **extra).prev_sample
        points.append([float(v) for v in x.flatten()])
    return {"sampler": name, "steps": steps, "eta": eta, "options": arguments, "x": points}


def main():
    patch()
    cases = []
    for name in SCHEDULERS:
        for steps in (6, 10, 20):
            cases.append(run(name, steps))
        spacings = ["linspace", "leading", "trailing"]
        for spacing in spacings:
            cases.append(run(name, 7, timestep_spacing=spacing))
        cases.append(run(name, 9, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012,
                         prediction_type="v_prediction"))
        cases.append(run(name, 9, beta_schedule="squaredcos_cap_v2", num_train_timesteps=80))
    cases.append(run("ddpm", 1000))
    cases.append(run("ddpm", 12, variance_type="fixed_large"))
    cases.append(run("ddpm", 12, prediction_type="sample"))
    cases.append(run("ddim", 12, eta=0.7))
    cases.append(run("ddim", 12, set_alpha_to_one=False, steps_offset=1))
    cases.append(run("ddim", 12, prediction_type="sample"))
    cases.append(run("dpmpp_2m", 18, final_sigmas_type="sigma_min"))
    cases.append(run("dpmpp_2m", 12, prediction_type="sample", timestep_spacing="leading", steps_offset=1))
    for name in ("dpmpp_2m", "heun", "euler"):
        cases.append(run(name, 11, use_karras_sigmas=True))
    cases.append(run("euler", 11, final_sigmas_type="sigma_min"))
    cases.append(run("pndm", 12, skip_prk_steps=True))
    cases.append(run("pndm", 12, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1,
                     beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012))
    cases.append(run("ddim", 10, rescale_betas_zero_snr=True, prediction_type="v_prediction",
                     timestep_spacing="trailing"))
    assert all(math.isfinite(v) for case in cases for p in case["x"] for v in p)
    json.dump(cases, sys.stdout)
    print()


main()
