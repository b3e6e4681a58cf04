"""Plain NumPy versions of the degradations, written from the papers (Real-ESRGAN, BSRGAN) and slow."""

import math

import numpy as np
from scipy import special


def coordinates(size):
    half = (size - 1) // 2
    return [(i, j, np.array([j - half, i - half], float)) for i in range(size) for j in range(size)]


def gaussian(size, sigma, angle, family="gaussian", beta=1.0):
    """Real-ESRGAN section 3.1: k = exp(-1/2 C' Sigma^-1 C) / N, Sigma = R diag(s1^2, s2^2) R'; and its relatives."""
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    inverse = np.linalg.inv(rotation @ np.diag([sigma[0] ** 2, sigma[1] ** 2]) @ rotation.T)
    kernel = np.zeros((size, size))
    for i, j, c in coordinates(size):
        q = c @ inverse @ c
        kernel[i, j] = {
            "gaussian": lambda q=q: math.exp(-0.5 * q),
            "generalized": lambda q=q: math.exp(-0.5 * q**beta),
            "plateau": lambda q=q: 1 / (1 + q**beta),
        }[family]()
    return kernel / kernel.sum()


def sinc(size, cutoff):
    """Real-ESRGAN equation 6: w / (2 pi r) J1(w r); its limit at r = 0 is w^2 / (4 pi)."""
    kernel = np.zeros((size, size))
    for i, j, c in coordinates(size):
        r = math.hypot(*c)
        kernel[i, j] = cutoff / (2 * math.pi * r) * special.j1(cutoff * r) if r else cutoff**2 / (4 * math.pi)
    return kernel / kernel.sum()


def motion(size, length, angle):
    ends = [np.array([math.cos(angle), math.sin(angle)]) * length / 2 * side for side in (-1, 1)]
    kernel = np.zeros((size, size))
    for i, j, c in coordinates(size):
        t = np.clip((c - ends[0]) @ (ends[1] - ends[0]) / max(length**2, 1e-12), 0, 1)
        kernel[i, j] = max(0, 1 - np.linalg.norm(c - ends[0] - t * (ends[1] - ends[0])))
    return kernel / kernel.sum()


def defocus(size, radius):
    kernel = np.zeros((size, size))
    for i, j, c in coordinates(size):
        kernel[i, j] = min(1, max(0, radius + 0.5 - math.hypot(*c)))
    return kernel / kernel.sum()


def correlate(image_CHW, kernel):
    """Every output pixel is the weighted sum of its neighbours; the border is mirrored without its edge."""
    reach = kernel.shape[0] // 2
    padded = np.pad(image_CHW, ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
    out = np.zeros_like(image_CHW, dtype=float)
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            out += kernel[i, j] * padded[:, i : i + image_CHW.shape[1], j : j + image_CHW.shape[2]]
    return out


def unsharp(image_CHW, weight, radius, threshold):
    side = radius + 1 if radius % 2 == 0 else radius
    sigma = 0.3 * ((side - 1) / 2 - 1) + 0.8
    kernel = gaussian(side, (sigma, sigma), 0)
    residual = image_CHW - correlate(image_CHW, kernel)
    mask = correlate((np.abs(residual) * 255 > threshold).astype(float), kernel)
    return mask * np.clip(image_CHW + weight * residual, 0, 1) + (1 - mask) * image_CHW


def imresize(line, new):
    """One line by MATLAB's rules: Keys' cubic (a = -1/2), stretched to the new pixel size, borders repeated."""
    old = len(line)
    scale = new / old
    width = min(scale, 1)

    def cubic(x):
        x = abs(x)
        return 1.5 * x**3 - 2.5 * x**2 + 1 if x <= 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0

    out = []
    for k in range(new):
        centre = (k + 0.5) / scale - 0.5
        total = norm = 0
        for i in range(math.floor(centre - 2 / width), math.ceil(centre + 2 / width) + 1):
            weight = width * cubic(width * (centre - i))
            inside = -1 - i if i < 0 else 2 * old - 1 - i if i >= old else i
            total, norm = total + weight * line[inside], norm + weight
        out.append(total / norm)
    return np.array(out)


LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
CHROMA = np.full((8, 8), 99)
CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]


def diffjpeg(image_CHW, quality):
    """ITU T.81 with steps that are neither rounded nor clipped, and the luma table transposed."""
    height, width = image_CHW.shape[1:]
    padded = np.pad(image_CHW * 255.0, ((0, 0), (0, -height % 16), (0, -width % 16)))
    factor = (5000 / quality if quality < 50 else 200 - 2 * quality) / 100
    r, g, b = padded
    y = 0.299 * r + 0.587 * g + 0.114 * b
    cb = -0.168736 * r - 0.331264 * g + 0.5 * b + 128
    cr = 0.5 * r - 0.418688 * g - 0.081312 * b + 128
    cb, cr = ((c[::2, ::2] + c[1::2, ::2] + c[::2, 1::2] + c[1::2, 1::2]) / 4 for c in (cb, cr))
    y = blocks(y, LUMA.T * factor)
    cb, cr = (blocks(c, CHROMA * factor).repeat(2, 0).repeat(2, 1) - 128 for c in (cb, cr))
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb])
    return rgb.clip(0, 255)[:, :height, :width] / 255


def blocks(plane, table):
    basis = np.array(
        [
            [math.sqrt((1 if u else 0.5) / 4) * math.cos((2 * x + 1) * u * math.pi / 16) for x in range(8)]
            for u in range(8)
        ]
    )
    out = np.zeros_like(plane)
    for i in range(0, plane.shape[0], 8):
        for j in range(0, plane.shape[1], 8):
            coefficients = basis @ (plane[i : i + 8, j : j + 8] - 128) @ basis.T
            out[i : i + 8, j : j + 8] = basis.T @ (np.round(coefficients / table) * table) @ basis + 128
    return out
