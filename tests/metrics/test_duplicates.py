"""Pairs of similar hashes against all pairs; what the hash forgives; who stays of several alike."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from genir.metrics.duplicates import alike, earlier_equals, near
from genir.metrics.phash import phash


def hashes(count, seed=0):
    """Random ones, and close relatives of the first half."""
    rng = np.random.default_rng(seed)
    random = rng.integers(0, 1 << 64, count, dtype=np.uint64)
    for place in range(count // 2, count):
        flips = rng.choice(64, rng.integers(1, 12), replace=False)
        random[place] = random[place - count // 2] ^ np.bitwise_or.reduce(np.uint64(1) << flips.astype(np.uint64))
    return np.unique(random)


@pytest.mark.parametrize("bits", [0, 3, 7])
def test_all_pairs_within_the_distance_are_found_and_no_others(bits):
    found = hashes(600)
    gaps = np.bitwise_count(found[:, None] ^ found[None])
    expected = np.argwhere(np.triu(gaps <= bits, 1))
    assert np.array_equal(alike(found, bits), expected)
    assert len(expected) > 50 or bits == 0


def test_the_first_equal_value():
    assert earlier_equals(np.array([5, 7, 5, 9, 7, 5])).tolist() == [0, 1, 0, 3, 1, 0]
    assert earlier_equals(np.array([])).tolist() == []


def test_the_first_of_similar_images_stays_and_so_does_what_is_like_a_dropped_one_only():
    values = np.array([0, 1, 0, 3, (1 << 64) - 1], np.uint64)
    features = {0: 0.0, 1: 0.2, 2: 5.0, 3: 0.4, 4: 0.0}
    asked = []

    def of(place):
        asked.append(place)
        return np.full(4, features[place])

    assert list(near(values, 7, of, 0.25)) == [(1, 0)]  # 2 has other features, 3 is like 1 alone
    assert asked == [0, 1, 2, 3]
    assert list(near(values, 7, lambda place: None if place == 0 else of(place), 0.25)) == [(3, 1)]


def coded(picture, quality):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def hash_of(picture):
    pixels_CHW = np.ascontiguousarray(np.asarray(picture.convert("RGB")).transpose(2, 0, 1))
    return np.uint64(phash(torch.from_numpy(pixels_CHW)[None]).item() % (1 << 64))


def test_the_hash_forgives_codecs_and_sizes_and_tells_pictures_apart():
    pictures = [Image.fromarray(pixels) for pixels in (data.coffee(), data.chelsea(), data.rocket(), data.astronaut())]
    own = [hash_of(picture) for picture in pictures]
    for picture, value in zip(pictures, own, strict=True):
        changed = [coded(picture, 40), picture.resize((200, 150)), picture.convert("L")]
        assert all(np.bitwise_count(hash_of(other) ^ value) <= 7 for other in changed)
    assert all(np.bitwise_count(a ^ b) > 14 for place, a in enumerate(own) for b in own[:place])


def test_a_batch_is_single_images():
    crops = np.stack([data.coffee()[:128, x : x + 128].transpose(2, 0, 1) for x in (0, 100, 300)])
    images_NCHW = torch.from_numpy(crops)
    assert phash(images_NCHW).tolist() == [phash(one[None]).item() for one in images_NCHW]
