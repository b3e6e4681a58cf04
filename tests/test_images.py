"""Pixels <-> files: lossless, marked as synthetic, the same bytes every time."""

import hashlib
import io
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage import data

from genir.errors import ImageError
from genir.images import decode, encode, estimated_bytes, photograph_size, pixels_sha256, read_marked, read_photograph

FORMATS = [("png", level) for level in range(10)] + [("webp", level) for level in range(7)]


def noise(height=40, width=56):
    pixels_CHW = np.random.default_rng(0).integers(0, 256, (3, height, width), dtype=np.uint8)
    pixels_CHW[:, :8] = 0  # transparent-looking, flat and clipped regions
    pixels_CHW[:, 8:16] = 255
    return pixels_CHW


@pytest.mark.parametrize(("image_format", "level"), FORMATS)
def test_no_pixel_changes(image_format, level):
    pixels_CHW = noise()
    found = decode(encode(pixels_CHW, image_format, level))
    assert found.dtype == np.uint8
    assert np.array_equal(found, pixels_CHW)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (64, 65)])
@pytest.mark.parametrize("image_format", ["png", "webp"])
def test_odd_sizes(image_format, shape):
    pixels_CHW = np.random.default_rng(1).integers(0, 256, (3, *shape), dtype=np.uint8)
    assert np.array_equal(decode(encode(pixels_CHW, image_format, 1)), pixels_CHW)


@pytest.mark.parametrize("image_format", ["png", "webp"])
def test_the_memory_layout_of_the_pixels_does_not_matter(image_format):
    pixels_CHW = noise()
    strided = np.ascontiguousarray(pixels_CHW.transpose(1, 2, 0)).transpose(2, 0, 1)
    assert not strided.flags["C_CONTIGUOUS"]
    assert encode(strided, image_format, 1) == encode(pixels_CHW, image_format, 1)
    assert pixels_sha256(strided) == pixels_sha256(pixels_CHW)


@pytest.mark.parametrize("image_format", ["png", "webp"])
def test_an_independent_reader_sees_rgb_and_the_digital_source_type(image_format):
    with Image.open(io.BytesIO(encode(noise(), image_format, 1))) as image:
        image.load()
        assert (image.format, image.mode, image.size) == (image_format.upper(), "RGB", (56, 40))
        packet = image.info["xmp" if image_format == "webp" else "XML:com.adobe.xmp"]
    (description,) = ElementTree.fromstring(packet).iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    assert description.get("{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType") == (
        "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    )


@pytest.mark.parametrize("image_format", ["png", "webp"])
def test_the_same_pixels_give_the_same_bytes_and_no_time_is_stored(image_format):
    first = encode(noise(), image_format, 1)
    assert encode(noise(), image_format, 1) == first
    assert b"tIME" not in first
    assert b"EXIF" not in first


def test_a_higher_level_is_smaller():
    ramp_CHW = np.broadcast_to(np.arange(128, dtype=np.uint8), (3, 96, 128))
    assert len(encode(ramp_CHW, "png", 9)) <= len(encode(ramp_CHW, "png", 1)) < len(encode(ramp_CHW, "png", 0))


def test_decode_makes_rgb_of_other_modes():
    for mode in ("L", "P", "RGBA", "1"):
        out = io.BytesIO()
        Image.new(mode, (5, 4), 1).save(out, "PNG")
        assert decode(out.getvalue()).shape == (3, 4, 5)


def test_the_hash_is_of_rows_columns_channels():
    pixels_CHW = noise()
    expected = hashlib.sha256(Image.fromarray(pixels_CHW.transpose(1, 2, 0)).tobytes()).hexdigest()
    assert pixels_sha256(pixels_CHW) == expected
    assert pixels_sha256(decode(encode(pixels_CHW, "webp", 0))) == expected
    assert pixels_sha256(pixels_CHW[::-1]) != expected


def test_the_estimate_of_a_size_is_below_raw_pixels():
    assert estimated_bytes(100, 100, "webp") < estimated_bytes(100, 100, "png") < 3 * 100 * 100


@pytest.mark.parametrize("image_format", ["png", "webp"])
def test_a_photograph_is_not_marked_as_synthetic(image_format):
    encoded = encode(noise(), image_format, 1, synthetic=False)
    assert b"trainedAlgorithmicMedia" not in encoded
    assert np.array_equal(decode(encoded), noise())
    for synthetic in (False, True):
        pixels_CHW, marked = read_marked(Path("x"), encode(noise(), image_format, 1, synthetic=synthetic))
        assert np.array_equal(pixels_CHW, noise())
        assert marked == synthetic


def test_a_mark_behind_the_pixels_of_a_png_is_seen():
    encoded = encode(noise(), "png", 1)
    at = encoded.index(b"iTXt") - 4
    after = at + 12 + int.from_bytes(encoded[at : at + 4])
    end = encoded.rindex(b"IEND") - 4
    moved = encoded[:at] + encoded[after:end] + encoded[at:after] + encoded[end:]
    assert read_marked(Path("x"), moved)[1]


def cat():
    return Image.fromarray(data.chelsea())  # 300 x 451


def saved(tmp_path, image, name="photo.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg"])
def test_a_plain_photograph_is_read_as_it_is(tmp_path, suffix):
    path = saved(tmp_path, cat(), f"photo.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    pixels_CHW = read_photograph(path)
    assert photograph_size(path) == pixels_CHW.shape[1:] == (300, 451)
    gap = np.abs(pixels_CHW.astype(int) - data.chelsea().transpose(2, 0, 1))
    assert gap.max() == 0 if suffix != "jpg" else gap.mean() < 4


@pytest.mark.parametrize(("orientation", "angle"), [(1, 0), (3, 180), (6, 270), (8, 90)])
@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg"])
def test_the_exif_orientation_is_obeyed(tmp_path, suffix, orientation, angle):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(tmp_path, cat(), f"photo.{suffix}", exif=exif, **options)
    expected = np.asarray(cat().rotate(angle, expand=True)).transpose(2, 0, 1)
    pixels_CHW = read_photograph(path)
    assert np.abs(pixels_CHW.astype(int) - expected).mean() < (4 if suffix == "jpg" else 1e-9)
    assert photograph_size(path) == pixels_CHW.shape[1:]


def test_an_icc_profile_is_brought_to_srgb(tmp_path):
    """sRGB with the primaries of red and green exchanged: red numbers mean green."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    table = profile[:256].replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")
    path = saved(tmp_path, cat(), icc_profile=table + profile[256:])
    expected = data.chelsea().transpose(2, 0, 1)[[1, 0, 2]].astype(int)
    assert np.abs(read_photograph(path) - expected).max() <= 3


def test_an_srgb_profile_changes_nothing(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = saved(tmp_path, cat(), icc_profile=profile)
    assert np.abs(read_photograph(path).astype(int) - data.chelsea().transpose(2, 0, 1)).max() <= 1


def test_a_gray_photograph_with_an_srgb_profile_is_left_alone(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = saved(tmp_path, cat().convert("L"), icc_profile=profile)
    assert np.array_equal(read_photograph(path)[0], np.asarray(cat().convert("L")))


def test_a_broken_profile_leaves_the_pixels(tmp_path):
    path = saved(tmp_path, cat(), icc_profile=b"no profile at all" * 20)
    assert np.array_equal(read_photograph(path), data.chelsea().transpose(2, 0, 1))


def test_transparency_is_laid_over_white(tmp_path):
    image = cat().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    pixels_CHW = read_photograph(saved(tmp_path, image))
    assert (pixels_CHW[:, 0] == 255).all()  # transparent there
    assert np.abs(pixels_CHW[:, -1].astype(int) - data.chelsea().transpose(2, 0, 1)[:, -1]).max() <= 1


def test_sixteen_bits_become_eight(tmp_path):
    gray_HW = np.asarray(cat().convert("L"))
    path = saved(tmp_path, Image.fromarray(gray_HW.astype(np.uint16) * 257))
    assert np.array_equal(read_photograph(path), np.stack([gray_HW] * 3))


def test_cmyk_and_palettes_become_rgb(tmp_path):
    cmyk = read_photograph(saved(tmp_path, cat().convert("CMYK"), "photo.tif"))
    assert np.abs(cmyk.astype(int) - data.chelsea().transpose(2, 0, 1)).mean() < 2
    palette = cat().quantize(64)
    path = saved(tmp_path, palette)
    assert np.array_equal(read_photograph(path), np.asarray(palette.convert("RGB")).transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not an image that Pillow can read"),
        (b"<html>404</html>", "not an image that Pillow can read"),
        ("cut", "truncated"),
        ("float", "floating-point pixels"),
    ],
)
def test_what_cannot_be_decoded_has_a_reason(tmp_path, content, reason):
    path = tmp_path / "photo.tif"
    if content == "cut":
        whole = saved(tmp_path, cat(), "whole.jpg").read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif content == "float":
        saved(tmp_path, Image.fromarray(np.random.default_rng(0).random((8, 8), np.float32)), "photo.tif")
    else:
        path.write_bytes(content)
    with pytest.raises(ImageError) as caught:
        read_photograph(path)
    assert reason in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_photograph_has_a_reason(tmp_path):
    for read in (read_photograph, photograph_size):
        with pytest.raises(ImageError, match="No such file"):
            read(tmp_path / "none.jpg")
