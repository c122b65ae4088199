"""Blocks of well-known networks, and parts in which some units cannot go: the rest of them can."""

import torch
import torch.nn.functional as F
from architectures import Forward
from torch import nn


class BasicBlock(nn.Module):
    """Of ResNet, with the last norm beginning at zero, as torchvision can be asked to do."""

    def __init__(self, n_in, n, stride=1):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(n_in, n, 3, stride, 1, bias=False), nn.BatchNorm2d(n)
        self.conv2, self.bn2 = nn.Conv2d(n, n, 3, 1, 1, bias=False), nn.BatchNorm2d(n)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride > 1 or n_in != n:
            self.downsample = nn.Sequential(
                nn.Conv2d(n_in, n, 1, stride, bias=False), nn.BatchNorm2d(n)
            )

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class Bottleneck(nn.Module):
    expansion = 2

    def __init__(self, n_in, n, groups=1):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(n_in, n, 1, bias=False), nn.BatchNorm2d(n)
        self.conv2 = nn.Conv2d(n, n, 3, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(n)
        self.conv3, self.bn3 = nn.Conv2d(n, 2 * n, 1, bias=False), nn.BatchNorm2d(2 * n)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Conv2d(n_in, 2 * n, 1) if n_in != 2 * n else nn.Identity()

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.relu(self.bn3(self.conv3(out)) + self.downsample(x))


class DenseLayer(nn.Sequential):
    """Of DenseNet: a Sequential with a forward of its own around it."""

    def __init__(self, n_in, growth):
        super().__init__()
        self.add_module("norm1", nn.BatchNorm2d(n_in))
        self.add_module("relu1", nn.ReLU(inplace=True))
        self.add_module("conv1", nn.Conv2d(n_in, 4, 1, bias=False))
        self.add_module("norm2", nn.BatchNorm2d(4))
        self.add_module("relu2", nn.ReLU(inplace=True))
        self.add_module("conv2", nn.Conv2d(4, growth, 3, padding=1, bias=False))

    def forward(self, x):
        return torch.cat([x, F.dropout2d(super().forward(x), 0.1, self.training)], 1)


class Inception(nn.Module):
    def __init__(self, n_in):
        super().__init__()
        self.one = nn.Conv2d(n_in, 3, 1)
        self.three = nn.Sequential(nn.Conv2d(n_in, 4, 1), nn.ReLU(), nn.Conv2d(4, 5, 3, padding=1))
        self.five = nn.Sequential(nn.Conv2d(n_in, 3, 1), nn.ReLU(), nn.Conv2d(3, 4, 5, padding=2))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(n_in, 3, 1))

    def forward(self, x):
        return F.relu(torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], dim=1))


class Gate(nn.Module):
    """Squeeze and excite, as EfficientNet and MobileNetV3 have it."""

    def __init__(self, n):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(n, 3, 1), nn.Conv2d(3, n, 1)

    def forward(self, x):
        scale = F.adaptive_avg_pool2d(x, 1)
        return x * F.hardsigmoid(self.fc2(F.relu(self.fc1(scale))))


def mbconv(m, x):
    x = F.silu(m.norm0(m.stem(x)))
    y = F.silu(m.norm1(m.expand(x)))
    y = F.silu(m.norm2(m.depth(y)))
    return m.head(F.silu(x + m.project(m.gate(y))).mean((2, 3)))


def cbam(m, x):
    x = F.relu(m.conv(x))
    mean, largest = x.mean(1, keepdim=True), x.max(1, keepdim=True)[0]
    x = x * torch.sigmoid(m.attend(torch.cat([mean, largest], 1)))
    return m.head(F.relu(m.last(x)).mean((2, 3)))


def one_channel_gate(m, x):
    h = F.relu(m.conv(x))
    return m.head((h * torch.sigmoid(m.gate(h))).mean(-1))


def attention_gate(m, x):
    a = F.relu(m.enter(x))
    g = m.up(F.relu(m.deep(F.max_pool2d(a, 2))))
    scale = torch.sigmoid(m.psi(F.relu(m.of_skip(a) + m.of_gate(g))))
    return m.head(F.relu(m.leave(torch.cat([a * scale, g], dim=1))).mean((2, 3)))


def broadcast_sum(m, x):
    h = m.conv(x)
    h = h + m.context(x.mean(-1))[:, :, None]  # a number per channel
    h = F.relu(h + m.height(x))  # a number per position
    return m.head(h.amax(-1))


def conv_next_block(m, x):
    x = m.stem(x)
    y = m.depth(x).permute(0, 2, 3, 1)
    y = m.down(F.gelu(m.up(m.norm(y)))) * m.gamma
    x = x + y.permute(0, 3, 1, 2)
    return m.head(m.final(x.mean([-2, -1])))


class LayerScale(Forward):
    def __init__(self, forward, n, **layers):
        super().__init__(forward, **layers)
        self.gamma = nn.Parameter(torch.rand(n))


def shuffled(m, x):
    a, b = F.relu(m.stem(x)).chunk(2, dim=1)
    b = F.relu(m.point2(m.depth(F.relu(m.point1(b)))))
    x = torch.cat([a, b], 1)
    n, c, h, w = x.shape
    x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, -1, h, w)
    return m.head(F.relu(m.last(x)).mean((2, 3)))


def res2(m, x):
    first, *parts = F.relu(m.enter(x)).split(3, 1)
    out, last = [first], 0
    for conv, part in zip(m.convs, parts, strict=True):
        last = F.relu(conv(part + last))
        out.append(last)
    return m.head(F.relu(m.leave(torch.cat(out, 1))).mean((2, 3)))


def selective(m, x):
    a, b = F.relu(m.small(x)), F.relu(m.large(x))
    weights = m.weigh(F.relu(m.squeeze((a + b).mean((2, 3)))))
    weights = weights.view(len(x), 2, -1).softmax(1)[..., None, None]
    x = (torch.stack([a, b], dim=1) * weights).sum(1)
    return m.head(F.relu(m.last(x)).mean((2, 3)))


def einsums(m, x):
    h = F.relu(m.conv(x))
    x = torch.einsum("ncp,ndp->ncd", h, h)
    return m.head(F.relu(m.line(x.flatten(1))))


def vision_transformer(m, x):
    x = m.patches(x).flatten(2).transpose(1, 2)
    x = torch.cat([m.token.expand(len(x), -1, -1), x], dim=1)
    return m.head(m.encoder(x)[:, 0])


class Token(Forward):
    def __init__(self, forward, n, **layers):
        super().__init__(forward, **layers)
        self.token = nn.Parameter(torch.randn(1, 1, n))


def mixer(m, x):
    x = m.patches(x).flatten(2).transpose(1, 2)
    y = m.norm(x).transpose(1, 2)
    x = x + m.tokens2(F.gelu(m.tokens1(y))).transpose(1, 2)
    return m.head(m.channels2(F.gelu(m.channels1(x))).mean(1))


def wave(m, x):
    x, skips = m.stem(x), 0
    for gate, out in zip(m.gates, m.outs, strict=True):
        a, b = gate(F.pad(x, (2, 0))).chunk(2, dim=1)
        y = out(a.tanh() * b.sigmoid())
        x, skips = x + y, skips + y
    return m.head(F.relu(m.last(F.relu(skips))).mean(-1))


def pyramid(m, x):
    c1 = F.relu(m.c1(x))
    c2 = F.relu(m.c2(c1))
    p2 = m.side2(c2)
    p1 = m.side1(c1) + m.upsample(p2)
    return m.head(torch.cat([F.relu(m.smooth(p)).amax((2, 3)) for p in (p1, p2)], 1))


def context_at_scales(m, x):
    x = F.relu(m.stem(x))
    branches = [F.relu(conv(x)) for conv in m.dilated]
    pooled = F.relu(m.pooled(F.adaptive_avg_pool2d(x, 1)))
    branches.append(F.interpolate(pooled, size=x.shape[-2:], mode="bilinear"))
    return m.head(F.relu(m.project(torch.cat(branches, 1))).flatten(2).mean(2))


def ghost(m, x):
    a = F.relu(m.primary(x))
    x = torch.cat((a, F.relu(m.cheap(a))), dim=1)
    return m.head(m.last(x).flatten(start_dim=1))


def fire(m, x):
    x = F.relu(m.squeeze(x), inplace=True)
    x = torch.concat([F.relu(m.left(x)), F.relu(m.right(x))], dim=1)
    return torch.flatten(m.pool(m.classifier(m.drop(x))), 1)


def recurrent(m, x):
    x = F.relu(m.second(F.relu(m.first(x))))
    return m.head(F.relu(m.line(m.rnn(x.transpose(1, 2))[0][:, -1])))


def same_layer_at_all_scales(m, x):
    x = F.relu(m.stem(x))
    total = 0
    for _ in range(3):
        total = total + m.shared(x).amax((2, 3))
        x = F.avg_pool2d(x, 2)
    return m.head(F.relu(total))


def maxout(m, x):
    return m.head(m.pieces(x).view(len(x), -1, 2).amax(2))


def picked(m, x):
    x = F.relu(m.conv(x))
    return m.head(F.relu(m.line(x[:, [0, 2, 3]].flatten(1))))


def taken_twice(m, x):
    x = F.relu(m.conv(x))
    return m.head(F.relu(m.line(torch.cat([x, x[:, :2]], 1).flatten(1))))


def written_into(m, x):
    a = F.relu(m.conv(x))
    both = torch.zeros(len(x), 8, a.shape[2])
    both[:, :4], both[:, 4:] = a, -a
    return m.head(F.relu(m.line(both.flatten(1))))


def size_written_in(m, x):
    x = F.relu(m.second(F.relu(m.first(x))))
    return m.head(x.view(-1, 4 * 6))


def coordinates(m, x):
    place = torch.linspace(0, 1, x.shape[-1]).expand(len(x), 1, -1)
    x = F.relu(m.first(torch.cat([x, place], 1)))
    return m.head(F.relu(m.second(torch.cat([x, place], 1))).mean(-1))


def normalised(m, x):
    x = F.relu(m.first(x))
    return m.head(F.normalize(F.relu(m.second(x)), dim=1))


class Drops(nn.Sequential):
    def forward(self, x):
        return F.dropout2d(super().forward(x), 0.5, self.training)


class SamePadding(nn.Conv2d):
    """As EfficientNet pads."""

    def forward(self, x):
        x = F.pad(x, (1, 1, 1, 1))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class Standardised(nn.Conv2d):
    """As BiT standardises its weights."""

    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


class TwiceTheBias(nn.Linear):
    def forward(self, x):
        return F.linear(x, self.weight, 2 * self.bias)


def resnet(block, *stages):
    layers = [nn.Conv2d(3, 4, 3, 1, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True)]
    layers += [nn.MaxPool2d(3, 2, 1), *(block(*stage) for stage in stages)]
    n = stages[-1][1] * getattr(block, "expansion", 1)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Linear(n, 3))


#: Name -> how to build it, the shape of a sample, groups that can be cut, layers kept whole.
MORE = {
    "resnet18": (lambda: resnet(BasicBlock, (4, 4), (4, 4), (4, 6, 2), (6, 6)), (3, 9, 9),
                 6, set()),
    "resnet50": (lambda: resnet(Bottleneck, (4, 3), (6, 3), (6, 4)), (3, 9, 9), 9, set()),
    "resnext": (lambda: resnet(Bottleneck, (4, 4, 2), (8, 4, 2)), (3, 9, 9), 2,
                {"4.conv1", "4.conv2", "5.conv1", "5.conv2"}),
    "densenet": (lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False), DenseLayer(4, 3), DenseLayer(7, 3),
        nn.BatchNorm2d(10), nn.ReLU(), nn.Conv2d(10, 5, 1), nn.AvgPool2d(2), DenseLayer(5, 3),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)), (2, 6, 6), 8, set()),
    "inception": (lambda: nn.Sequential(
        nn.Conv2d(2, 5, 3), nn.ReLU(), Inception(5), Inception(15), nn.AdaptiveMaxPool2d(1),
        nn.Flatten(), nn.Linear(15, 3)), (2, 7, 7), 13, set()),
    "efficientnet": (lambda: Forward(
        mbconv, stem=nn.Conv2d(2, 4, 3, padding=1), norm0=nn.BatchNorm2d(4),
        expand=nn.Conv2d(4, 8, 1), norm1=nn.BatchNorm2d(8),
        depth=nn.Conv2d(8, 8, 3, padding=1, groups=8), norm2=nn.BatchNorm2d(8), gate=Gate(8),
        project=nn.Conv2d(8, 4, 1), head=nn.Linear(4, 3)), (2, 5, 5), 3, set()),
    "cbam": (lambda: Forward(
        cbam, conv=nn.Conv2d(2, 5, 3), attend=nn.Conv2d(2, 1, 3, padding=1),
        last=nn.Conv2d(5, 6, 2), head=nn.Linear(6, 3)), (2, 6, 6), 1, {"conv", "attend"}),
    "one channel for a gate": (lambda: Forward(
        one_channel_gate, conv=nn.Conv1d(2, 6, 3), gate=nn.Conv1d(6, 1, 1), head=nn.Linear(6, 3)),
        (2, 9), 1, {"gate"}),
    "attention u-net": (lambda: Forward(
        attention_gate, enter=nn.Conv2d(2, 5, 3, padding=1), deep=nn.Conv2d(5, 6, 3, padding=1),
        up=nn.ConvTranspose2d(6, 4, 2, 2), of_skip=nn.Conv2d(5, 4, 1), of_gate=nn.Conv2d(4, 4, 1),
        psi=nn.Conv2d(4, 1, 1), leave=nn.Conv2d(9, 5, 1), head=nn.Linear(5, 3)), (2, 6, 6),
        5, {"psi"}),
    "broadcast sums": (lambda: Forward(
        broadcast_sum, conv=nn.Conv1d(2, 6, 3, padding=1), context=nn.Linear(2, 6),
        height=nn.Conv1d(2, 1, 1), head=nn.Linear(6, 3)), (2, 9), 1, {"height"}),
    "convnext": (lambda: LayerScale(
        conv_next_block, 4, stem=nn.Conv2d(2, 4, 2, 2),
        depth=nn.Conv2d(4, 4, 3, padding=1, groups=4), norm=nn.LayerNorm(4), up=nn.Linear(4, 9),
        down=nn.Linear(9, 4), final=nn.LayerNorm(4), head=nn.Linear(4, 3)), (2, 8, 8), 1,
        {"stem", "down"}),
    "shufflenet": (lambda: Forward(
        shuffled, stem=nn.Conv2d(2, 8, 3), point1=nn.Conv2d(4, 6, 1),
        depth=nn.Conv2d(6, 6, 3, padding=1, groups=6), point2=nn.Conv2d(6, 4, 1),
        last=nn.Conv2d(8, 5, 1), head=nn.Linear(5, 3)), (2, 6, 6), 2, {"stem", "point2"}),
    "res2net": (lambda: Forward(
        res2, enter=nn.Conv2d(2, 9, 1),
        convs=nn.ModuleList([nn.Conv2d(3, 3, 3, padding=1) for _ in range(2)]),
        leave=nn.Conv2d(9, 5, 1), head=nn.Linear(5, 3)), (2, 5, 5), 2,
        {"enter", "convs.0"}),
    "selective kernels": (lambda: Forward(
        selective, small=nn.Conv2d(2, 4, 1), large=nn.Conv2d(2, 4, 3, padding=1),
        squeeze=nn.Linear(4, 5), weigh=nn.Linear(5, 8), last=nn.Conv2d(4, 5, 1),
        head=nn.Linear(5, 3)), (2, 5, 5), 2, {"small", "large", "weigh"}),
    "einsum": (lambda: Forward(
        einsums, conv=nn.Conv1d(2, 4, 3), line=nn.Linear(16, 6), head=nn.Linear(6, 3)), (2, 9),
        1, {"conv"}),
    "vision transformer": (lambda: Token(
        vision_transformer, 4, patches=nn.Conv2d(2, 4, 2, 2),
        encoder=nn.TransformerEncoderLayer(4, 2, 7, batch_first=True), head=nn.Linear(4, 3)),
        (2, 6, 6), 1, {"patches", "encoder.linear2"}),
    "mixer": (lambda: Forward(
        mixer, patches=nn.Conv2d(2, 4, 2, 2), norm=nn.LayerNorm(4), tokens1=nn.Linear(9, 5),
        tokens2=nn.Linear(5, 9), channels1=nn.Linear(4, 7), channels2=nn.Linear(7, 5),
        head=nn.Linear(5, 3)), (2, 6, 6), 3, {"patches", "tokens2"}),
    "wavenet": (lambda: Forward(
        wave, stem=nn.Conv1d(1, 5, 1), gates=nn.ModuleList([nn.Conv1d(5, 8, 2, dilation=2)] * 1
        + [nn.Conv1d(5, 8, 3)]), outs=nn.ModuleList([nn.Conv1d(4, 5, 1), nn.Conv1d(4, 5, 1)]),
        last=nn.Conv1d(5, 4, 1), head=nn.Linear(4, 3)), (1, 9), 4, set()),
    "feature pyramid": (lambda: Forward(
        pyramid, c1=nn.Conv2d(2, 4, 3, padding=1), c2=nn.Conv2d(4, 6, 3, 2, 1),
        side1=nn.Conv2d(4, 5, 1), side2=nn.Conv2d(6, 5, 1), upsample=nn.Upsample(scale_factor=2),
        smooth=nn.Conv2d(5, 4, 3, padding=1), head=nn.Linear(8, 3)), (2, 6, 6), 4, set()),
    "aspp": (lambda: Forward(
        context_at_scales, stem=nn.Conv2d(2, 5, 3, padding=1),
        dilated=nn.ModuleList([nn.Conv2d(5, 3, 3, padding=d, dilation=d) for d in (1, 2)]),
        pooled=nn.Conv2d(5, 4, 1), project=nn.Conv2d(10, 5, 1), head=nn.Linear(5, 3)), (2, 6, 6),
        5, set()),
    "ghost": (lambda: Forward(
        ghost, primary=nn.Conv2d(2, 5, 1), cheap=nn.Conv2d(5, 5, 3, padding=1, groups=5),
        last=nn.Conv2d(10, 4, 3), head=nn.Linear(16, 3)), (2, 4, 4), 2, set()),
    "squeezenet": (lambda: Forward(
        fire, squeeze=nn.Conv2d(2, 4, 1), left=nn.Conv2d(4, 3, 1),
        right=nn.Conv2d(4, 5, 3, padding=1), drop=nn.Dropout2d(), classifier=nn.Conv2d(8, 3, 1),
        pool=nn.AdaptiveAvgPool2d(1)), (2, 4, 4), 3, set()),
    "recurrent": (lambda: Forward(
        recurrent, first=nn.Conv1d(1, 4, 3), second=nn.Conv1d(4, 5, 3),
        rnn=nn.GRU(5, 4, batch_first=True), line=nn.Linear(4, 6), head=nn.Linear(6, 3)), (1, 12),
        2, {"second"}),
    "one layer at all scales": (lambda: Forward(
        same_layer_at_all_scales, stem=nn.Conv2d(2, 4, 3, padding=1),
        shared=nn.Conv2d(4, 6, 2), head=nn.Linear(6, 3)), (2, 8, 8), 2, set()),
    "pixel shuffle": (lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 12, 3, padding=1),
        nn.PixelShuffle(2), nn.ReLU(), nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(5, 3)), (2, 4, 4), 3, set()),
    "group norm": (lambda: nn.Sequential(
        nn.Conv1d(1, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.Conv1d(4, 6, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(48, 3)), (1, 12), 1, {"0"}),
    "local response": (lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.LocalResponseNorm(3), nn.Conv2d(4, 5, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(20, 3)), (1, 6, 6), 1, {"0"}),
    "maxout": (lambda: Forward(maxout, pieces=nn.Linear(5, 8), head=nn.Linear(4, 3)), (5,), 0,
               {"pieces"}),
    "a list of channels": (lambda: Forward(
        picked, conv=nn.Conv1d(1, 6, 3), line=nn.Linear(21, 5), head=nn.Linear(5, 3)), (1, 9), 1,
        {"conv"}),
    "some channels twice": (lambda: Forward(
        taken_twice, conv=nn.Conv1d(1, 4, 3), line=nn.Linear(42, 5), head=nn.Linear(5, 3)),
        (1, 9), 1, {"conv"}),
    "written into": (lambda: Forward(
        written_into, conv=nn.Conv1d(1, 4, 3), line=nn.Linear(56, 5), head=nn.Linear(5, 3)),
        (1, 9), 1, {"conv"}),
    "size written in": (lambda: Forward(
        size_written_in, first=nn.Conv1d(1, 5, 3), second=nn.Conv1d(5, 4, 3),
        head=nn.Linear(24, 3)), (1, 10), 1, {"second"}),
    "coordinates": (lambda: Forward(
        coordinates, first=nn.Conv1d(2, 5, 3, padding=1), second=nn.Conv1d(6, 4, 3),
        head=nn.Linear(4, 3)), (1, 9), 2, set()),
    "normalised": (lambda: Forward(
        normalised, first=nn.Linear(6, 8), second=nn.Linear(8, 5), head=nn.Linear(5, 3)), (6,), 1,
        {"second"}),
    "same padding": (lambda: nn.Sequential(
        SamePadding(1, 4, 3), nn.ReLU(), SamePadding(4, 5, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(125, 3)), (1, 5, 5), 2, set()),
    "standardised weights": (lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), Standardised(4, 5, 2), nn.ReLU(), nn.Conv2d(5, 6, 1),
        nn.Flatten(), nn.Linear(24, 3)), (1, 5, 5), 1, {"0"}),
    "a bias of its own": (lambda: nn.Sequential(
        nn.Linear(4, 6), nn.ReLU(), TwiceTheBias(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(),
        nn.Linear(4, 3)), (4,), 1, {"0"}),
    "gated linear units": (lambda: nn.Sequential(
        nn.Conv1d(1, 8, 3), nn.GLU(1), nn.Conv1d(4, 6, 1), nn.GLU(dim=-2), nn.Flatten(),
        nn.Linear(24, 3)), (1, 10), 2, set()),
    "dropped maps": (lambda: nn.Sequential(
        Drops(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Dropout2d(0.3)), nn.Conv2d(4, 5, 2), nn.ELU(),
        nn.Flatten(), nn.Linear(20, 3)), (2, 5, 5), 2, set()),
}  # fmt: skip
