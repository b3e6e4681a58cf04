"""Contact sheets: many small pictures on one, rejected ones framed with their reason, faces never recognisable."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFilter, ImageFont, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from genir.records import is_in_sight

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from genir.records import Sample

_MARGIN, _LABEL = 6, 16
_KEYS = "genir_keys"  # PNG text: what is on the sheet
_FRAMES = {"kept": (70, 160, 90), "rejected": (200, 60, 50), "error": (120, 120, 120)}


@dataclass(frozen=True)
class Tile:
    """One picture of a sheet."""

    key: str
    category: str
    """Shown under kept pictures; under others their reason is."""
    verdict: str
    """kept, rejected or error."""
    reason: str
    pixels_CHW: np.ndarray | None
    """uint8 RGB; None when there are none, or none are stored."""
    face: bool = False
    """A face was seen, whatever the verdict: the picture is shown beyond recognition."""


def tile(sample: Sample) -> Tile:
    """A judged sample as a picture of a sheet."""
    assert sample.verdict is not None
    task, verdict = sample.task, sample.verdict
    face = is_in_sight(verdict.reason, sample.scores)
    # the gate that failed may be the one that looks for faces
    pixels_CHW = None if verdict.verdict == "error" else sample.pixels_CHW
    return Tile(task.key, task.prompt.category, verdict.verdict, verdict.reason, pixels_CHW, face)


def contact_sheet(tiles: Sequence[Tile], columns: int = 8, side: int = 160, before: bytes = b"") -> bytes:
    """PNG of the tiles, row by row; each fits into `side` x `side` pixels.

    A picture with a face is pixelated beyond recognition as a whole: where one face was found there may be others.

    Args:
        tiles: what to draw.
        columns: tiles a row.
        side: largest side of a picture in pixels.
        before: an earlier sheet of the same columns and side, to which the tiles are added.
    """
    drawn = keys_drawn(before)
    rows = -(-(len(drawn) + len(tiles)) // columns)
    cell_w, cell_h = side + 2 * _MARGIN, side + 2 * _MARGIN + _LABEL
    sheet = Image.new("RGB", (columns * cell_w, rows * cell_h), (24, 24, 26))
    if drawn:
        sheet.paste(Image.open(io.BytesIO(before)), (0, 0))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(11)
    for index, tile in enumerate(tiles, len(drawn)):
        left, top = index % columns * cell_w + _MARGIN, index // columns * cell_h + _MARGIN
        picture = draw_tile(tile, side)
        x, y = left + (side - picture.width) // 2, top + (side - picture.height) // 2
        sheet.paste(picture, (x, y))
        frame = _FRAMES[tile.verdict]
        if tile.verdict != "kept":
            draw.rectangle((x - 3, y - 3, x + picture.width + 2, y + picture.height + 2), outline=frame, width=3)
        text = f"{int(tile.key)} {tile.reason or tile.category}"
        draw.text((left, top + side + 3), _fit(text, font, side), fill=(225, 225, 225), font=font)
    keys = PngInfo()
    keys.add_text(_KEYS, " ".join([*drawn, *(tile.key for tile in tiles)]))
    out = io.BytesIO()
    sheet.save(out, "PNG", compress_level=6, pnginfo=keys)
    return out.getvalue()


def keys_drawn(sheet: bytes) -> list[str]:
    """The keys of the tiles on a sheet that `contact_sheet` made; none for other bytes."""
    try:
        with Image.open(io.BytesIO(sheet)) as picture:
            return str(picture.info.get(_KEYS, "")).split()
    except UnidentifiedImageError:
        return []


def draw_tile(tile: Tile, side: int) -> Image.Image:
    """The picture of a tile, at most `side` x `side`; pixelated beyond recognition where a face was seen."""
    if tile.pixels_CHW is None:
        picture = Image.new("RGB", (side, side), (52, 52, 56))
        text = "pixels not stored" if tile.verdict == "rejected" else "no picture"
        ImageDraw.Draw(picture).text((10, side // 2 - 6), text, fill=(170, 170, 170), font=ImageFont.load_default(11))
        return picture
    picture = Image.fromarray(tile.pixels_CHW.transpose(1, 2, 0))
    if (factor := side // max(picture.size)) > 1:
        picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    if tile.face:
        picture = picture.resize((6, 6), Image.Resampling.BOX).resize(picture.size, Image.Resampling.BICUBIC)
        picture = picture.filter(ImageFilter.GaussianBlur(max(picture.size) / 24))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return picture


def _fit(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    while text and font.getlength(text) > width:
        text = text[:-1]
    return text
