"""How public pair makers degrade a batch, written down as a baseline: one draw for all, dense kernels.

The steps of `genir.degrade.draw`, executed as the training code of Real-ESRGAN (and the pair makers of SeeSR and
DreamClear after it) does it: every kernel padded to 21 x 21 and convolved directly, a dense 51 x 51 unsharp mask, both
kinds of Poisson noise computed, JPEG by 8 x 8 x 8 x 8 tensor products over unfolded blocks.
"""

import itertools
import math

import torch
from torch.nn import functional

from genir.degrade import kernels
from genir.degrade.codecs import _CHROMA, _LUMA, _TO_RGB, _TO_YCC

SIDE = 21


def degrade(images_NCHW, steps):
    out = images_NCHW
    for step in steps:
        out = OPERATIONS[step["op"]](out, step)
    return (out * 255).round().clamp(0, 255) / 255


def filtered(images_NCHW, kernel):
    n, c, h, w = images_NCHW.shape
    reach = kernel.shape[-1] // 2
    padded = functional.pad(images_NCHW, (reach,) * 4, mode="reflect")
    weight = kernel.to(images_NCHW)[None, None].repeat(n * c, 1, 1, 1)
    wide = padded.reshape(1, n * c, h + 2 * reach, w + 2 * reach)
    return functional.conv2d(wide, weight, groups=n * c).view(n, c, h, w)


def blur(images_NCHW, step):
    kernel = kernels.build(step)
    pad = (SIDE - kernel.shape[-1]) // 2
    return filtered(images_NCHW, functional.pad(kernel, (pad,) * 4))


def usm(images_NCHW, step):
    kernel = kernels.unsharp(step["radius"])
    residual = images_NCHW - filtered(images_NCHW, kernel)
    mask = filtered((residual.abs() * 255 > step["threshold"]).float(), kernel)
    sharp = (images_NCHW + step["weight"] * residual).clip(0, 1)
    return mask * sharp + (1 - mask) * images_NCHW


def resize(images_NCHW, step):
    return functional.interpolate(images_NCHW, size=step["size"], mode=step["mode"])


def gaussian(images_NCHW, step):
    noise = torch.randn_like(images_NCHW)
    if step["gray"]:
        noise = torch.randn_like(images_NCHW[:, :1]).expand_as(images_NCHW)
    return (images_NCHW + noise * (step["sigma"] / 255)).clamp(0, 1)


def shot(images_NCHW):
    images_NCHW = (images_NCHW * 255).round().clamp(0, 255) / 255
    counts = [2 ** math.ceil(math.log2(len(torch.unique(image)))) for image in images_NCHW]
    counts = torch.tensor(counts, dtype=torch.float32).view(-1, 1, 1, 1)
    return torch.poisson(images_NCHW * counts) / counts - images_NCHW


def poisson(images_NCHW, step):
    noise = shot(images_NCHW)
    if step["gray"]:
        luma = torch.einsum("c,nchw->nhw", torch.tensor([0.2989, 0.587, 0.114]), images_NCHW)[:, None]
        noise = noise * 0 + shot(luma).expand_as(noise)
    return (images_NCHW + noise * step["scale"]).clamp(0, 1)


def _waves():
    waves = torch.zeros(8, 8, 8, 8)
    for x, y, u, v in itertools.product(range(8), repeat=4):
        waves[x, y, u, v] = math.cos((2 * x + 1) * u * math.pi / 16) * math.cos((2 * y + 1) * v * math.pi / 16)
    return waves


WAVES, ALPHA = _waves(), torch.tensor([1 / math.sqrt(2)] + [1.0] * 7)


def blocks(planes_NHW, table):
    n, h, w = planes_NHW.shape
    split = planes_NHW.reshape(n, h // 8, 8, w // 8, 8).permute(0, 1, 3, 2, 4).reshape(n, -1, 8, 8)
    scale = torch.outer(ALPHA, ALPHA)
    coefficients = 0.25 * scale * torch.tensordot(split - 128, WAVES, dims=2)
    coefficients = torch.round(coefficients / table) * table * scale
    restored = 0.25 * torch.tensordot(coefficients, WAVES.permute(2, 3, 0, 1), dims=2) + 128
    return restored.view(n, h // 8, w // 8, 8, 8).permute(0, 1, 3, 2, 4).reshape(n, h, w)


def jpeg(images_NCHW, step):
    quality, (h, w) = step["quality"], images_NCHW.shape[-2:]
    factor = (5000 / quality if quality < 50 else 200 - 2 * quality) / 100
    padded = functional.pad(images_NCHW.clamp(0, 1), (0, -w % 16, 0, -h % 16))
    ycc = torch.tensordot(padded.permute(0, 2, 3, 1) * 255, torch.tensor(_TO_YCC).T, dims=1)
    ycc = ycc + torch.tensor([0.0, 128.0, 128.0])
    chroma = torch.full((8, 8), 99.0)
    chroma[:4, :4] = torch.tensor(_CHROMA)
    planes = [blocks(ycc[..., 0], torch.tensor(_LUMA).T * factor)]
    for channel in (1, 2):
        small = functional.avg_pool2d(ycc[..., channel][:, None], 2)[:, 0]
        small = blocks(small, chroma * factor)
        planes.append(small.repeat_interleave(2, 1).repeat_interleave(2, 2) - 128)
    rgb = torch.tensordot(torch.stack(planes, -1), torch.tensor(_TO_RGB).T, dims=1).permute(0, 3, 1, 2)
    return (rgb.clamp(0, 255) / 255)[:, :, :h, :w]


OPERATIONS = {
    "usm": usm,
    "blur": blur,
    "resize": resize,
    "gaussian": gaussian,
    "poisson": poisson,
    "diffjpeg": jpeg,
}
