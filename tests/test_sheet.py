"""Contact sheets: sizes, frames, missing pixels, and faces that nobody can recognise."""

import io

import numpy as np
import pytest
from PIL import Image

from genir.sheet import Tile, contact_sheet, keys_drawn

SIDE, CELL_W, CELL_H = 160, 172, 188
BACKGROUND = (24, 24, 26)


def checkers(height=128, width=128, square=2):
    """Strong detail at the finest scale."""
    rows, columns = np.indices((height, width)) // square
    return np.repeat(((rows + columns) % 2 * 255).astype(np.uint8)[None], 3, axis=0)


def tile(verdict, reason, pixels_CHW, category="sea"):
    return Tile("000000001", category, verdict, reason, pixels_CHW, face=reason == "face")


def drawn(tiles, **options):
    with Image.open(io.BytesIO(contact_sheet(tiles, **options))) as sheet:
        assert sheet.format == "PNG"
        return np.asarray(sheet.convert("RGB"))


def picture(sheet_HWC, index=0, columns=8, size=128, side=SIDE):
    """The pixels of one tile, without its frame."""
    left = index % columns * (side + 12) + 6 + (side - size) // 2
    top = index // columns * (side + 28) + 6 + (side - size) // 2
    return sheet_HWC[top : top + size, left : left + size]


def high_frequency_energy(picture_HWC):
    """Mean squared amplitude above an eighth of the sampling rate."""
    gray = picture_HWC.mean(axis=2)
    window = np.outer(np.hanning(gray.shape[0]), np.hanning(gray.shape[1]))  # opposite edges differ: no jump there
    spectrum = np.abs(np.fft.fft2(window * (gray - gray.mean()))) ** 2
    rows, columns = np.meshgrid(*(np.fft.fftfreq(n) for n in gray.shape), indexing="ij")
    return spectrum[np.hypot(rows, columns) > 1 / 8].sum() / gray.size**2


def face_like(size=128):
    """Two eyes, a nose and a mouth on a bright oval."""
    rows, columns = (np.indices((size, size)) - size / 2) / size
    gray = np.where((rows / 0.45) ** 2 + (columns / 0.35) ** 2 < 1, 200, 60)
    for row, column, height, width in [(-0.12, -0.14, 0.03, 0.06), (-0.12, 0.14, 0.03, 0.06), (0.2, 0, 0.03, 0.12)]:
        gray = np.where((abs(rows - row) < height) & (abs(columns - column) < width), 10, gray)
    return np.repeat(gray.astype(np.uint8)[None], 3, axis=0)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 17])
def test_the_size_of_a_sheet(count):
    tiles = [tile("kept", "", checkers()) for _ in range(count)]
    assert drawn(tiles).shape == (-(-count // 8) * CELL_H, 8 * CELL_W, 3)
    assert drawn(tiles, columns=3, side=64).shape == (-(-count // 3) * (64 + 28), 3 * (64 + 12), 3)


def test_a_kept_picture_is_shown_as_it_is():
    one = tile("kept", "", checkers())
    assert np.array_equal(picture(drawn([one])), checkers().transpose(1, 2, 0))


@pytest.mark.parametrize("shape", [(640, 640), (640, 320), (320, 640), (64, 64)])
def test_a_picture_fits_its_cell_and_keeps_its_aspect(shape):
    sheet = drawn([tile("kept", "", np.full((3, *shape), 255, np.uint8))])
    rows, columns = np.nonzero((sheet == 255).all(axis=2))
    height, width = rows.max() + 1 - rows.min(), columns.max() + 1 - columns.min()
    factor = SIDE / max(shape)
    factor = int(factor) if factor > 1 else factor  # small pictures are enlarged by whole numbers
    assert (height, width) == (round(shape[0] * factor), round(shape[1] * factor))
    assert (rows.min() + rows.max() + 1) // 2 == 6 + SIDE // 2
    assert (columns.min() + columns.max() + 1) // 2 == 6 + SIDE // 2


@pytest.mark.parametrize(
    ("verdict", "colour"), [("kept", BACKGROUND), ("rejected", (200, 60, 50)), ("error", (120, 120, 120))]
)
def test_frames_say_the_verdict(verdict, colour):
    sheet = drawn([tile(verdict, "signal.entropy", checkers())])
    top = left = 6 + (SIDE - 128) // 2
    for row, column in [(top - 1, left + 50), (top + 128, left + 50), (top + 50, left - 1), (top + 50, left + 128)]:
        assert tuple(sheet[row, column]) == colour


@pytest.mark.parametrize("make", [lambda size: checkers(size, size, size // 64), face_like], ids=["checkers", "face"])
@pytest.mark.parametrize("shape", [(128, 128), (512, 512), (128, 96)])
def test_a_rejected_face_has_no_detail_left(make, shape):
    pixels_CHW, size = make(max(shape))[:, : shape[0], : shape[1]], 96
    seen = picture(drawn([tile("rejected", "face", pixels_CHW)]), size=size)
    plain = picture(drawn([tile("rejected", "signal.entropy", pixels_CHW)]), size=size)
    assert high_frequency_energy(seen) < 0.03  # gray levels squared; rounding to uint8 alone leaves 0.012
    assert high_frequency_energy(plain) > 1000 * high_frequency_energy(seen)
    # what is left could be drawn with 12 x 12 numbers
    small = Image.fromarray(seen).resize((12, 12), Image.Resampling.BOX).resize((size, size), Image.Resampling.BICUBIC)
    assert np.abs(np.asarray(small, float) - seen)[8:-8, 8:-8].max() < 16


def test_our_own_detector_finds_a_face_only_where_it_is_not_the_reason():
    from skimage.data import astronaut
    from torch import from_numpy

    from genir.detectors.faces import FaceDetector

    pixels_CHW = astronaut()[:256, 96:352].transpose(2, 0, 1)
    for reason, is_found in [("signal.entropy", True), ("face", False)]:
        sheet = drawn([tile("rejected", reason, pixels_CHW)], columns=1, side=256)
        (faces,) = FaceDetector(scales=(1.0, 2.0)).detect(from_numpy(sheet.transpose(2, 0, 1).copy())[None])
        assert (faces.score > 0.3) == is_found


@pytest.mark.parametrize("verdict", ["kept", "rejected"])
def test_a_face_is_hidden_whatever_the_verdict_and_other_pictures_are_not(verdict):
    for face in (True, False):
        seen = picture(drawn([Tile("1", "sea", verdict, "quality.piqe", checkers(), face)]))
        assert np.array_equal(seen, checkers().transpose(1, 2, 0)) != face


@pytest.mark.parametrize("verdict", ["rejected", "error"])
def test_missing_pixels_are_said(verdict):
    sheet = drawn([tile(verdict, "face" if verdict == "rejected" else "error:MemoryError", None)])
    inside = sheet[20:160, 10:160].reshape(-1, 3)
    assert (inside == (52, 52, 56)).all(axis=1).mean() > 0.9
    assert (inside.max(axis=1) > 140).any()  # the words


def words(sheet_HWC):
    return sheet_HWC[6 + SIDE + 3 : CELL_H, :CELL_W]


def test_the_words_are_the_reason_or_else_the_category():
    kept, other = words(drawn([tile("kept", "", None)])), words(drawn([tile("kept", "", None, category="land")]))
    assert not np.array_equal(kept, other)
    one, two = (words(drawn([tile("rejected", "face", None, category=name)])) for name in ("sea", "land"))
    assert np.array_equal(one, two)


def test_long_words_stay_in_their_cell():
    sheet = drawn([tile("rejected", "x" * 99, checkers()), tile("kept", "", None, category="W" * 99)])
    for column in range(2):
        assert (words(sheet[:, column * CELL_W :])[:, 6 + SIDE :] == BACKGROUND).all()


def test_the_same_tiles_give_the_same_bytes():
    tiles = [tile("rejected", "face", face_like()), tile("kept", "", checkers())]
    assert contact_sheet(tiles) == contact_sheet(tiles)


def test_a_sheet_goes_on_where_an_earlier_one_ended():
    tiles = [Tile(f"{n:09d}", "sea", "kept", "", checkers(square=n + 1)) for n in range(11)]
    whole = contact_sheet(tiles)
    parts = contact_sheet(tiles[9:], before=contact_sheet(tiles[3:9], before=contact_sheet(tiles[:3])))
    assert keys_drawn(whole) == keys_drawn(parts) == [tile.key for tile in tiles]
    assert parts == whole


@pytest.mark.parametrize("other", [b"", b"not a picture"])
def test_other_bytes_are_no_sheet(other):
    assert keys_drawn(other) == []
    assert contact_sheet([tile("kept", "", checkers())], before=other) == contact_sheet([tile("kept", "", checkers())])
