"""The score networks of ermongroup/ncsnv2, NCSNv2 and NCSN: the same functions and state_dicts, written anew."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Norm(nn.Module):
    """InstanceNorm++; levels > 0: its scales are rows of a table, one for each noise level."""

    def __init__(self, features, levels):
        super().__init__()
        if levels:
            self.embed = nn.Embedding(levels, 3 * features)
            nn.init.normal_(self.embed.weight[:, :2 * features].data, 1, 0.02)
            self.embed.weight.data[:, 2 * features:] = 0
        else:
            self.alpha, self.gamma = (nn.Parameter(1 + 0.02 * torch.randn(features)) for _ in range(2))
            self.beta = nn.Parameter(torch.zeros(features))

    def forward(self, x, level):
        if hasattr(self, "embed"):
            gamma, alpha, beta = (v[..., None, None] for v in self.embed(level).chunk(3, 1))
        else:
            gamma, alpha, beta = (v[:, None, None] for v in (self.gamma, self.alpha, self.beta))
        means = x.mean((2, 3), keepdim=True)
        variance, mean = torch.var_mean(means, 1, keepdim=True)
        return gamma * (F.instance_norm(x) + alpha * (means - mean) / torch.sqrt(variance + 1e-5)) + beta


class MeanPooled(nn.Module):
    def __init__(self, channels, features, kernel):
        super().__init__()
        self.conv = nn.Conv2d(channels, features, kernel, padding=kernel // 2)

    def forward(self, x):
        return F.avg_pool2d(self.conv(x), 2)


class Residual(nn.Module):
    """down: halves the map, unless it dilates; first of its stage."""

    def __init__(self, channels, features, levels, down, dilation):
        super().__init__()
        inner = channels if down else features
        self.normalize1, self.normalize2 = Norm(channels, levels), Norm(inner, levels)
        self.conv1 = nn.Conv2d(channels, inner, 3, padding=dilation, dilation=dilation)
        if down and dilation == 1:
            self.conv2, self.shortcut = MeanPooled(inner, features, 3), MeanPooled(channels, features, 1)
        else:
            self.conv2 = nn.Conv2d(inner, features, 3, padding=dilation, dilation=dilation)
            if down:
                self.shortcut = nn.Conv2d(channels, features, 3, padding=dilation, dilation=dilation)

    def forward(self, x, level):
        h = self.conv1(F.elu(self.normalize1(x, level)))
        h = self.conv2(F.elu(self.normalize2(h, level)))
        return h + (self.shortcut(x) if hasattr(self, "shortcut") else x)


class Units(nn.Module):
    """RCU blocks."""

    def __init__(self, features, blocks, levels):
        super().__init__()
        self.blocks = blocks
        for i in range(blocks):
            for j in range(2):
                if levels:
                    self.add_module(f"{i + 1}_{j + 1}_norm", Norm(features, levels))
                self.add_module(f"{i + 1}_{j + 1}_conv", nn.Conv2d(features, features, 3, padding=1, bias=False))

    def forward(self, x, level):
        parts = dict(self.named_children())
        for i in range(self.blocks):
            h = x
            for j in range(2):
                norm = parts.get(f"{i + 1}_{j + 1}_norm")
                h = parts[f"{i + 1}_{j + 1}_conv"](F.elu(norm(h, level) if norm else h))
            x = x + h
        return x


class Fusion(nn.Module):
    """MSF block: all inputs at the first one's size."""

    def __init__(self, inputs, features, levels):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(c, features, 3, padding=1) for c in inputs])
        if levels:
            self.norms = nn.ModuleList([Norm(c, levels) for c in inputs])

    def forward(self, xs, level):
        out = 0
        for i, x in enumerate(xs):
            h = self.convs[i](self.norms[i](x, level) if hasattr(self, "norms") else x)
            out = out + F.interpolate(h, xs[0].shape[2:], mode="bilinear", align_corners=True)
        return out


class PoolChain(nn.Module):
    """CRP block: largest of 5x5 in NCSNv2, their mean in NCSN."""

    def __init__(self, features, levels):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(features, features, 3, padding=1, bias=False) for _ in range(2)])
        if levels:
            self.norms = nn.ModuleList([Norm(features, levels) for _ in range(2)])

    def forward(self, x, level):
        x = path = F.elu(x)
        for i, conv in enumerate(self.convs):
            if hasattr(self, "norms"):
                path = F.avg_pool2d(self.norms[i](path, level), 5, 1, 2)
            else:
                path = F.max_pool2d(path, 5, 1, 2)
            path = conv(path)
            x = x + path
        return x


class Refine(nn.Module):
    def __init__(self, inputs, features, levels, end=False):
        super().__init__()
        self.adapt_convs = nn.ModuleList([Units(c, 2, levels) for c in inputs])
        self.output_convs = Units(features, 3 if end else 1, levels)
        if len(inputs) > 1:
            self.msf = Fusion(inputs, features, levels)
        self.crp = PoolChain(features, levels)

    def forward(self, xs, level):
        xs = [adapt(x, level) for adapt, x in zip(self.adapt_convs, xs)]
        h = self.msf(xs, level) if len(xs) > 1 else xs[0]
        return self.output_convs(self.crp(h, level), level)


class RefineNet(nn.Module):
    """NCSNv2, or NCSN if conditional; without the division by sigma."""

    def __init__(self, channels, ngf, levels, conditional=False):
        super().__init__()
        f, levels = ngf, levels if conditional else 0
        self.begin_conv, self.end_conv = (nn.Conv2d(i, o, 3, padding=1) for i, o in ((channels, f), (f, channels)))
        self.normalizer = Norm(f, levels)
        for i, (inputs, features, dilation) in enumerate(((f, f, 1), (f, 2 * f, 1), (2 * f, 2 * f, 2), (2 * f, 2 * f, 4))):
            self.add_module(f"res{i + 1}", nn.ModuleList([Residual(inputs, features, levels, i > 0, dilation),
                                                          Residual(features, features, levels, False, dilation)]))
        self.refine1 = Refine([2 * f], 2 * f, levels)
        self.refine2 = Refine([2 * f, 2 * f], 2 * f, levels)
        self.refine3 = Refine([2 * f, 2 * f], f, levels)
        self.refine4 = Refine([f, f], f, levels, end=True)

    def forward(self, x, level):
        h, layers = self.begin_conv(2 * x - 1), []
        for stage in (self.res1, self.res2, self.res3, self.res4):
            for block in stage:
                h = block(h, level)
            layers.append(h)
        h = self.refine1(layers[3:], level)
        for i, refine in enumerate((self.refine2, self.refine3, self.refine4)):
            h = refine([layers[2 - i], h], level)
        return self.end_conv(F.elu(self.normalizer(h, level)))
