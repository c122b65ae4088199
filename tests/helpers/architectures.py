"""Networks of many kinds, by name: what a tracer must follow, or refuse."""

import torch
import torch.nn.functional as F
from torch import nn


class Forward(nn.Module):
    """Layers by name, and a function of them and the input."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.function = forward
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, *args, **kwargs):
        return self.function(self, *args, **kwargs)


def residual(m, x):
    x = F.relu(m.stem(x))
    x = F.relu(x + m.norm(m.body(x)))
    return m.head(x.mean((2, 3)))


def siamese(m, x):
    a, b = (m.embed(F.adaptive_avg_pool1d(F.relu(m.conv(part)), 1).squeeze(-1))
            for part in x.chunk(2, dim=1))  # fmt: skip
    return m.head(torch.cat([(a - b).abs(), a * b], dim=1))


def squeeze_excite(m, x):
    x = torch.relu(m.conv(x))
    gate = m.up(F.relu(m.down(x.mean(-1)))).sigmoid()
    return m.head((x * gate[:, :, None]).flatten(1))


def dense_connections(m, x):
    a = F.relu(m.a(x))
    b = F.relu(m.b(torch.cat([x, a], 1)))
    return m.head(m.norm(torch.cat([x, a, b], 1)).flatten(1))


def hybrid(m, x):
    x = F.relu(m.conv3(x[:, None]))
    n, c, d, h, w = x.shape
    x = F.relu(m.conv2(x.reshape(n, c * d, h, w)))
    return m.head(F.dropout(x, 0.4, m.training).view(n, -1))


def permuted(m, x):
    x = F.gelu(m.conv(x)).permute(0, 2, 1).contiguous()
    return m.head(x.reshape(len(x), -1))


def depthwise(m, x):
    x = F.relu6(m.point(m.depth(F.relu(m.stem(x)))))
    return m.head(F.max_pool2d(x, 2).flatten(1))


def two_inputs(m, x):
    spectrum, patch = x[:, :6], x[:, 6:].view(-1, 1, 3, 3)
    spectrum = F.relu(m.line(spectrum))
    patch = F.relu(m.conv(patch)).flatten(1)
    return m.head(torch.cat([spectrum, patch], dim=1))


def bottleneck(m, x):
    x = m.relu(m.norm0(m.stem(x)))
    y = m.relu(m.norm1(m.one(x)))
    y = m.norm2(m.two(y))
    y += m.norm3(m.down(x))
    x = m.relu(y)
    return m.head(torch.flatten(m.pool(x), 1))


def dense_block(m, x):
    features = [m.stem(x)]
    for norm, conv in zip(m.norms, m.convs, strict=True):
        features.append(conv(F.relu(norm(torch.cat(features, 1)))))
    x = F.avg_pool2d(m.transition(F.relu(m.last_norm(torch.cat(features, 1)))), 2)
    return m.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


def hybrid_sn(m, x):
    for conv in m.spectral:
        x = F.relu(conv(x))
    x = F.relu(m.spatial(x.reshape(x.shape[0], -1, x.shape[3], x.shape[4])))
    x = m.drop(F.relu(m.first(x.flatten(1))))
    return m.second(x)


def u_net(m, x):
    a = F.relu(m.norm(m.enter(x)))
    b = F.relu(m.deep(F.max_pool2d(a, 2)))
    c = F.relu(m.up(b))
    d = F.relu(m.merge(torch.cat([a, c], 1)))
    e = F.interpolate(F.relu(m.deeper(F.max_pool2d(d, 2))), scale_factor=2, mode="nearest")
    return m.head(F.adaptive_max_pool2d(m.leave(torch.cat([d, e], 1)), 1).flatten(1))


def inverted(m, x):
    x = m.narrow(F.relu6(m.depth(F.relu6(m.wide(m.stem(x))))))
    y = m.narrow2(F.relu6(m.depth2(F.relu6(m.wide2(x)))))
    return m.head((x + y).mean((2, 3)))


def two_streams(m, a, b):
    a, b = (F.relu(m.embed(F.relu(m.conv(part)).mean((2, 3)))) for part in (a, b))
    return m.head(torch.cat([(a - b).abs(), a * b], 1))


def conv_next(m, x):
    y = m.depth(m.stem(x)).permute(0, 2, 3, 1)
    return m.head(m.stem(x).mean((2, 3)) + m.out(F.gelu(m.wide(y))).mean((1, 2)))


def gated(m, x):
    a, b = m.both(x).chunk(2, dim=1)
    return m.head(torch.tanh(a) * b.sigmoid())


ARCHITECTURES = {
    "mlp": (lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5), nn.Tanh(),
                                  nn.Linear(5, 3)), (6,), 2),
    "cnn1d": (lambda: nn.Sequential(
        nn.Conv1d(1, 6, 5), nn.BatchNorm1d(6), nn.ReLU(inplace=True), nn.MaxPool1d(2), nn.Flatten(),
        nn.Linear(48, 10), nn.ReLU(), nn.Dropout(), nn.Linear(10, 3), nn.Softmax(1)), (1, 20), 2),
    "cnn2d": (lambda: nn.Sequential(
        nn.Conv2d(4, 6, 3, padding=1), nn.LayerNorm((5, 5)), nn.ReLU(),
        nn.Conv2d(6, 7, 3, padding=1, padding_mode="circular"), nn.BatchNorm2d(7),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(28, 3)), (4, 5, 5), 2),
    "cnn3d": (lambda: nn.Sequential(
        nn.Conv3d(1, 4, 3), nn.ReLU(), nn.AvgPool3d(1), nn.Conv3d(4, 5, 2), nn.BatchNorm3d(5),
        nn.MaxPool3d(2), nn.Flatten(), nn.Linear(10, 3)), (1, 8, 5, 5), 2),
    "residual": (lambda: Forward(
        residual, stem=nn.Conv2d(3, 6, 3, padding=1), body=nn.Conv2d(6, 6, 3, padding=1),
        norm=nn.BatchNorm2d(6), head=nn.Linear(6, 3)), (3, 5, 5), 1),
    "siamese": (lambda: Forward(
        siamese, conv=nn.Conv1d(1, 5, 3), embed=nn.Linear(5, 4), head=nn.Linear(8, 2)),
        (2, 12), 2),
    "squeeze and excite": (lambda: Forward(
        squeeze_excite, conv=nn.Conv1d(1, 6, 3), down=nn.Linear(6, 3), up=nn.Linear(3, 6),
        head=nn.Linear(48, 3)), (1, 10), 2),
    "dense connections": (lambda: Forward(
        dense_connections, a=nn.Conv2d(2, 4, 3, padding=1), b=nn.Conv2d(6, 5, 3, padding=1),
        norm=nn.BatchNorm2d(11), head=nn.Linear(99, 3)), (2, 3, 3), 2),
    "hybrid": (lambda: Forward(
        hybrid, conv3=nn.Conv3d(1, 4, 3), conv2=nn.Conv2d(16, 6, 2), head=nn.Linear(24, 3)),
        (6, 5, 5), 2),
    "permuted before flatten": (lambda: Forward(
        permuted, conv=nn.Conv1d(2, 5, 3), head=nn.Linear(40, 3)), (2, 10), 1),
    "depthwise": (lambda: Forward(
        depthwise, stem=nn.Conv2d(2, 4, 3, padding=1),
        depth=nn.Conv2d(4, 8, 3, padding=1, groups=4), point=nn.Conv2d(8, 5, 1),
        head=nn.Linear(20, 3)), (2, 4, 4), 2),
    "two inputs": (lambda: Forward(
        two_inputs, line=nn.Linear(6, 5), conv=nn.Conv2d(1, 4, 2), head=nn.Linear(21, 3)),
        (15,), 2),
    "gated": (lambda: Forward(gated, both=nn.Linear(6, 8), head=nn.Linear(4, 3)), (6,), 1),
    "bottleneck with downsample": (lambda: Forward(
        bottleneck, stem=nn.Conv2d(3, 6, 3, padding=1, bias=False), norm0=nn.BatchNorm2d(6),
        relu=nn.ReLU(inplace=True), one=nn.Conv2d(6, 4, 3, 2, 1, bias=False),
        norm1=nn.BatchNorm2d(4), two=nn.Conv2d(4, 8, 3, padding=1, bias=False),
        norm2=nn.BatchNorm2d(8), down=nn.Conv2d(6, 8, 1, 2, bias=False), norm3=nn.BatchNorm2d(8),
        pool=nn.AdaptiveAvgPool2d(1), head=nn.Linear(8, 3)), (3, 6, 6), 3),
    "dense block": (lambda: Forward(
        dense_block, stem=nn.Conv2d(2, 4, 3, padding=1),
        norms=nn.ModuleList([nn.BatchNorm2d(4), nn.BatchNorm2d(7), nn.BatchNorm2d(10)]),
        convs=nn.ModuleList([nn.Conv2d(n, 3, 3, padding=1, bias=False) for n in (4, 7, 10)]),
        last_norm=nn.BatchNorm2d(13), transition=nn.Conv2d(13, 6, 1), head=nn.Linear(6, 3)),
        (2, 4, 4), 5),
    "hybrid sn": (lambda: Forward(
        hybrid_sn, spectral=nn.ModuleList([nn.Conv3d(1, 3, (5, 3, 3)), nn.Conv3d(3, 4, (3, 2, 2))]),
        spatial=nn.Conv2d(16, 5, 2), first=nn.Linear(45, 8), drop=nn.Dropout(0.4),
        second=nn.Linear(8, 3)), (1, 10, 7, 7), 4),
    "u-net": (lambda: Forward(
        u_net, enter=nn.Conv2d(3, 4, 3, padding=1), norm=nn.BatchNorm2d(4),
        deep=nn.Conv2d(4, 6, 3, padding=1), up=nn.ConvTranspose2d(6, 5, 2, stride=2),
        merge=nn.Conv2d(9, 5, 3, padding=1), deeper=nn.Conv2d(5, 4, 1), leave=nn.Conv2d(9, 6, 1),
        head=nn.Linear(6, 3)), (3, 6, 6), 6),
    "inverted residual": (lambda: Forward(
        inverted, stem=nn.Conv2d(2, 4, 3, padding=1), wide=nn.Conv2d(4, 8, 1),
        depth=nn.Conv2d(8, 8, 3, padding=1, groups=8), narrow=nn.Conv2d(8, 4, 1),
        wide2=nn.Conv2d(4, 8, 1), depth2=nn.Conv2d(8, 8, 3, padding=1, groups=8),
        narrow2=nn.Conv2d(8, 4, 1), head=nn.Linear(4, 3)), (2, 5, 5), 4),
    "transposed": (lambda: nn.Sequential(
        nn.Conv1d(1, 4, 3), nn.InstanceNorm1d(4, affine=True), nn.PReLU(4),
        nn.ConvTranspose1d(4, 4, 3, groups=4), nn.ConvTranspose1d(4, 6, 4, 2), nn.PReLU(),
        nn.ConvTranspose1d(6, 5, 3, bias=False), nn.ReLU(), nn.AdaptiveAvgPool1d(2), nn.Flatten(),
        nn.Linear(10, 3)), (1, 12), 3),
    "two streams": (lambda: Forward(
        two_streams, conv=nn.Conv2d(1, 5, 3), embed=nn.Linear(5, 4), head=nn.Linear(8, 2)),
        {"a": (1, 6, 6), "b": (1, 6, 6)}, 2),
    "mixes positions": (lambda: nn.Sequential(
        nn.Conv1d(1, 6, 3), nn.ReLU(), nn.Linear(10, 4), nn.ReLU(), nn.Conv1d(6, 5, 2),
        nn.Flatten(), nn.Linear(15, 3)), (1, 12), 2),
    "channels last": (lambda: Forward(
        conv_next, stem=nn.Conv2d(2, 6, 2, 2), depth=nn.Conv2d(6, 6, 3, padding=1, groups=6),
        wide=nn.Linear(6, 9), out=nn.Linear(9, 6), head=nn.Linear(6, 3)), (2, 8, 8), 2),
    "grouped": (lambda: nn.Sequential(
        nn.Conv1d(1, 4, 3), nn.ReLU(), nn.Conv1d(4, 6, 3, groups=2), nn.ReLU(),
        nn.Conv1d(6, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(20, 3)), (1, 10), 1),
}  # fmt: skip


def make(name, architectures=ARCHITECTURES):
    """Make a module whose norms are far from the identity, samples and its number of groups."""
    build, shape, n_groups, *_ = architectures[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = build()
        with torch.no_grad():
            for part in module.modules():
                if isinstance(part, nn.modules.batchnorm._BatchNorm):
                    nn.init.normal_(part.weight)
                    nn.init.normal_(part.running_mean)
                    nn.init.uniform_(part.running_var, 0.5, 2)
        return module.eval(), draw(shape), n_groups


def draw(shape):
    if isinstance(shape, dict):
        return {name: torch.randn(7, *part) for name, part in shape.items()}
    return torch.randn(7, *shape)
