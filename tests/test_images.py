"""Pixels <-> files: lossless, marked as synthetic, the same bytes every time."""

import hashlib
import io
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from genir.images import decode, encode, estimated_bytes, pixels_sha256

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
