"""ContextUnet of TeaPearce/Conditional_Diffusion_MNIST: the same function and state_dict, written anew."""
import torch
import torch.nn as nn
import torch.nn.functional as F


def conv_norm_gelu(channels, features):
    return nn.Sequential(nn.Conv2d(channels, features, 3, padding=1), nn.BatchNorm2d(features), nn.GELU())


class Twice(nn.Module):
    def __init__(self, channels, features, residual=False):
        super().__init__()
        self.residual = residual
        self.conv1, self.conv2 = conv_norm_gelu(channels, features), conv_norm_gelu(features, features)

    def forward(self, x):
        first = self.conv1(x)
        second = self.conv2(first)
        if not self.residual:
            return second
        return ((x if x.shape == second.shape else first) + second) / 1.414


class Stack(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, *inputs):
        return self.model(torch.cat(inputs, 1))


def down(channels, features):
    return Stack(Twice(channels, features), nn.MaxPool2d(2))


def up(channels, features):
    return Stack(nn.ConvTranspose2d(channels, features, 2, 2), Twice(features, features), Twice(features, features))


def embedding(inputs, width):
    return Stack(nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, width))


class ContextUnet(nn.Module):
    def __init__(self, channels, n_feat, classes):
        super().__init__()
        f = n_feat
        self.classes = classes
        self.init_conv = Twice(channels, f, residual=True)
        self.down1, self.down2 = down(f, f), down(f, 2 * f)
        self.timeembed1, self.timeembed2 = embedding(1, 2 * f), embedding(1, f)
        self.contextembed1, self.contextembed2 = embedding(classes, 2 * f), embedding(classes, f)
        self.up0 = nn.Sequential(nn.ConvTranspose2d(2 * f, 2 * f, 7), nn.GroupNorm(8, 2 * f), nn.ReLU())
        self.up1, self.up2 = up(4 * f, f), up(2 * f, f)
        self.out = nn.Sequential(nn.Conv2d(2 * f, f, 3, padding=1), nn.GroupNorm(8, f), nn.ReLU(),
                                 nn.Conv2d(f, channels, 3, padding=1))

    def forward(self, x, time, label):
        """time in 0..1; label == classes: no condition."""
        context = -F.one_hot(label, self.classes + 1)[:, :-1].float()
        time = time.reshape(-1, 1)
        x = self.init_conv(x)
        skip1 = self.down1(x)
        skip2 = self.down2(skip1)
        u = self.up0(F.gelu(F.avg_pool2d(skip2, 7)))
        u = self.up1(self.contextembed1(context)[..., None, None] * u + self.timeembed1(time)[..., None, None], skip2)
        u = self.up2(self.contextembed2(context)[..., None, None] * u + self.timeembed2(time)[..., None, None], skip1)
        return self.out(torch.cat((u, x), 1))
