"""Pixels <-> files: lossless PNG and WebP that say whether they are synthetic; users' photographs as sRGB."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image, ImageCms, ImageOps, PngImagePlugin, UnidentifiedImageError

from genir.errors import ImageError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".ppm")
"""Of the files that are taken for photographs."""

_ORIENTATION = 0x0112  # EXIF tag
_SIDEWAYS = (5, 6, 7, 8)
_COLOURS = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Colour space of an ICC profile -> mode of the pixels that it describes."""

Format = Literal["png", "webp"]

Kernel = Literal["lanczos", "bicubic", "area"]
_KERNELS: dict[Kernel, Image.Resampling] = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "area": Image.Resampling.BOX,
}

# IPTC digital source type of an image made by a trained model.
_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>'
    "</rdf:RDF></x:xmpmeta>"
)


def encode(pixels_CHW: np.ndarray, image_format: Format, level: int, synthetic: bool = True) -> bytes:
    """Encode uint8 pixels without loss; synthetic ones are marked by their XMP digital source type.

    Args:
        pixels_CHW: uint8 RGB, or gray (1, H, W), 0..255.
        image_format: png or webp.
        level: zlib level 0..9 of a PNG, method 0..6 of a WebP.
        synthetic: did a model make the pixels? Only a photograph is not marked.
    """
    image = Image.fromarray(pixels_CHW[0] if len(pixels_CHW) == 1 else pixels_CHW.transpose(1, 2, 0))
    out = io.BytesIO()
    if image_format == "png":
        text = PngImagePlugin.PngInfo()
        if synthetic:
            text.add_itxt("XML:com.adobe.xmp", _XMP)
        image.save(out, "PNG", compress_level=level, pnginfo=text)
    else:
        image.save(out, "WEBP", lossless=True, method=level, xmp=_XMP.encode() if synthetic else b"")
    return out.getvalue()


def decode(data: bytes) -> np.ndarray:
    """uint8 RGB pixels (C, H, W) of an encoded image."""
    import numpy as np

    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def pixels_sha256(pixels_CHW: np.ndarray) -> str:
    """SHA-256 of the pixels in the order a decoder gives them: rows, columns, channels."""
    return hashlib.sha256(pixels_CHW.transpose(1, 2, 0).tobytes()).hexdigest()


def estimated_bytes(height: int, width: int, image_format: Format) -> int:
    """Expected size of one file: 1.25 bytes a pixel as PNG, 0.9 as lossless WebP (measured on 1024 px photographs)."""
    return int(height * width * (1.25 if image_format == "png" else 0.9))


def photograph_size(path: Path) -> tuple[int, int]:
    """(H, W) in pixels of a photograph as it is meant to be looked at, from its header; raises ImageError."""
    try:
        with Image.open(path) as image:
            # Pillow turns the size of a TIFF itself; a PNG without EXIF before its pixels would be decoded to find it
            turned = image.format != "TIFF" and (image.format != "PNG" or "exif" in image.info)
            sideways = turned and image.getexif().get(_ORIENTATION) in _SIDEWAYS
            width, height = image.size
            return (width, height) if sideways else (height, width)
    except Exception as error:  # a foreign file can make a decoder raise anything
        raise ImageError(f"{path}: {_reason(error)}") from error


def read_photograph(path: Path, data: bytes | None = None) -> np.ndarray:
    """uint8 sRGB pixels (C, H, W) of a user's photograph; `data` are its bytes, where `path` is inside of a tar.

    Turned as its EXIF orientation says, brought from its ICC profile to sRGB (relative colorimetric, black point
    compensation), transparency laid over white, 16 bits a channel reduced to 8, CMYK and palettes converted; of
    several frames the first. Raises ImageError with the reason for a file that cannot be decoded whole.
    """
    return read_marked(path, data)[0]


def read_marked(path: Path, data: bytes | None = None) -> tuple[np.ndarray, bool]:
    """Pixels as `read_photograph` has them, and whether the file carries the mark of an image that a model made (as
    `encode` writes it).
    """
    import numpy as np

    try:
        with Image.open(path if data is None else io.BytesIO(data)) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
            rgb = _to_srgb(_eight_bits(upright), image.info.get("icc_profile"))
            # a PNG may have its mark behind the pixels: it is known now
            return np.asarray(rgb).transpose(2, 0, 1), _is_marked(image)
    except Exception as error:  # a foreign file can make a decoder raise anything
        raise ImageError(f"{path}: {_reason(error)}") from error


def fit(pixels_CHW: np.ndarray, size_HW: tuple[int, int]) -> np.ndarray:
    """uint8 RGB pixels of `size_HW`: scaled until they just cover it (Lanczos), cropped in the middle."""
    import numpy as np

    image = Image.fromarray(np.ascontiguousarray(pixels_CHW.transpose(1, 2, 0)))
    height, width = size_HW
    return np.asarray(ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)).transpose(2, 0, 1)


def resized(pixels_CHW: np.ndarray, size_HW: tuple[int, int], kernel: Kernel) -> np.ndarray:
    """uint8 RGB pixels of `size_HW`, without aliasing: the kernel is stretched where the image shrinks."""
    import numpy as np

    image = Image.fromarray(np.ascontiguousarray(pixels_CHW.transpose(1, 2, 0)))
    made_HWC = np.asarray(image.resize((size_HW[1], size_HW[0]), _KERNELS[kernel]))
    return np.ascontiguousarray(made_HWC.transpose(2, 0, 1))


def _is_marked(image: Image.Image) -> bool:
    marks = (image.info.get("xmp", b""), image.info.get("XML:com.adobe.xmp", ""))
    return any("trainedAlgorithmicMedia" in (m.decode(errors="replace") if isinstance(m, bytes) else m) for m in marks)


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image that Pillow can read"
    return " ".join(str(error).split())[:200] or type(error).__name__


def _eight_bits(image: Image.Image) -> Image.Image:
    import numpy as np

    if image.mode == "F":
        raise ValueError("floating-point pixels have no defined white; convert the file to 8 or 16 bits")
    if image.mode == "I" or image.mode.startswith("I;"):
        gray_HW = np.asarray(image).astype(np.int64)
        if gray_HW.min() < 0 or gray_HW.max() > 65535:
            raise ValueError("32-bit pixels have no defined white; convert the file to 8 or 16 bits")
        return Image.fromarray(((gray_HW + 128) // 257).astype(np.uint8))
    return image


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if image.mode in ("P", "PA", "LA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode == "RGBA":
        opaque = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(opaque, image).convert("RGB")
    if image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    if profile:
        try:
            source: Any = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if _COLOURS.get(source.profile.xcolor_space.strip()) == image.mode:
                flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
                intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
                image = (
                    ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), intent, "RGB", flags=flags)
                    or image
                )
        except (ImageCms.PyCMSError, OSError):
            pass  # a broken profile: what most viewers show is the pixels as they are
    return image.convert("RGB")
