"""Writes the folder diffusers/: a tiny DDPMPipeline as diffusers saves it, with a picture.

    python diffusers_folder.py

Needs diffusers 0.42 and torch. expected.safetensors has initial noise [2, 1, 8, 8] and the
pictures in 0..1 that DDIMScheduler draws from it in 6 steps. The tests do not run this.
"""
import os

import torch
from diffusers import DDIMScheduler, DDPMPipeline, DDPMScheduler, UNet2DModel
from safetensors.torch import save_file

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "diffusers")
STEPS = 6


def tiny():
    torch.manual_seed(3)
    net = UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, block_out_channels=(4, 8),
        layers_per_block=1, down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"), norm_num_groups=2, attention_head_dim=4,
        norm_eps=1e-6, downsample_padding=0, flip_sin_to_cos=False, freq_shift=1,
        mid_block_scale_factor=1.5)
    for parameter in net.parameters():  # the first values of norms and biases hide mistakes
        torch.nn.init.normal_(parameter, 0.02, 0.15)
    return net.eval()


def draw(net, config, noise):
    scheduler = DDIMScheduler.from_config(config)
    scheduler.set_timesteps(STEPS)
    x = noise
    with torch.no_grad():
        for t in scheduler.timesteps:
            x = scheduler.step(net(x, t).sample, t, x, eta=0.0).prev_sample
    return (x / 2 + 0.5).clamp(0, 1)


if __name__ == "__main__":
    torch.set_num_threads(1)
    model = tiny()
    schedule = DDPMScheduler(beta_schedule="scaled_linear", beta_end=0.015, clip_sample_range=1.5,
                             prediction_type="v_prediction")
    DDPMPipeline(model, schedule).save_pretrained(FOLDER)
    os.chmod(os.path.join(FOLDER, "unet", "diffusion_pytorch_model.safetensors"), 0o644)
    start = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(5))
    save_file({"noise": start, "samples": draw(model, schedule.config, start)},
              os.path.join(FOLDER, "expected.safetensors"))
