"""`genir verify --privacy`: a random sample of the kept images, judged by a named auditor, and the bound that follows.

What a gate missed cannot be counted by the gate: the auditor is a person, or a detector of another family. With k of n
images found by an auditor who finds at least a share r of what is there, the share among all kept images is at most
upper(k, n) / r, where both bounds are exact (Clopper and Pearson 1934) and err with 2.5 % each.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from genir import storage
from genir.bounds import CONFIDENCE, lower_bound, upper_bound
from genir.config.audit import Privacy
from genir.config.base import resolve
from genir.errors import ConfigError, PlanError
from genir.ranks import EXIT_AGAIN
from genir.runs.summary import local_root
from genir.runs.tables import joined, tables_of
from genir.sheet import Tile, contact_sheet
from genir.sources import open_source, taken
from genir.sources.pictures import Picture, pictures

if TYPE_CHECKING:
    from genir.sources import Original

PAGE = 30  # pictures a sheet
SIDE = 256
CELLS = 20  # of the long side of a picture that is shown coarsely: a head can be seen, not whose it is
ANSWERS = ("number", "sheet", "person")

NOT_ASSESSED = (
    "names, number plates, tattoos, documents and screens; people without a visible face, unless the auditor looked",
    "likeness to a real person who is not known to the auditor; private places",
    "copies of training images: genir verify --copies",
    "prompts: genir prompts screen",
)


@dataclass(frozen=True)
class Audit:
    """One sample and its folder."""

    config: Privacy
    root: Path
    folder: Path
    kept: int
    sampled: list[Original]
    controls: list[Original]

    def order(self) -> list[Original]:
        """All pictures as they are shown: controls among the others."""
        everything = [*self.sampled, *self.controls]
        random.Random(f"genir:audit:{self.config.seed}:order").shuffle(everything)
        return everything


def privacy(run: str, overrides: Sequence[str]) -> tuple[int, list[str]]:
    """Exit code (75: the answers are not complete yet) and lines for the user.

    Raises:
        GenirError: no such run, answers that cannot be read, a detector that cannot be loaded.
    """
    config = resolve(Privacy, {}, "verify --privacy", overrides)
    root = local_root(run if Path(run).exists() else run.rpartition("#")[0] or run)
    source = open_source(run)
    kept = list(taken(source))
    if not kept:
        raise PlanError(f"{run}: no image is kept, there is nothing to audit")
    drawn = random.Random(f"genir:audit:{config.seed}").sample(range(len(kept)), min(config.sample, len(kept)))
    controls = [] if config.controls is None else _all(config.controls)
    audit = Audit(config, root, root / "audits" / config.name, len(kept), [kept[n] for n in sorted(drawn)], controls)
    if config.detector is not None:
        return 0, _report(audit, *_by_detector(audit), _detector_name(audit))
    answers = audit.folder / "answers.csv"
    if not answers.exists():
        return EXIT_AGAIN, list(_write(audit, _borderline(root, config, kept), {one.key: one for one in kept}))
    found = _read(audit, answers)
    missing = sum(value is None for value in found.values())
    if missing:
        return EXIT_AGAIN, [f"answers    {len(found) - missing} of {len(found)} are filled in {answers}"]
    if not config.auditor:
        raise ConfigError("verify --privacy: auditor is not set: say who filled in the answers (auditor=NAME)")
    order = audit.order()
    said = {id(one): found[number] for number, one in enumerate(order, 1)}
    hits = sum(bool(said[id(one)]) for one in audit.sampled)
    return 0, _report(audit, hits, sum(bool(said[id(one)]) for one in controls), config.auditor)


def _all(folder: str) -> list[Original]:
    source = open_source(folder)
    return source.originals(0, source.available)


def _read_all(originals: Sequence[Original]) -> Iterator[Picture]:
    for batch in pictures([list(originals[n : n + 4]) for n in range(0, len(originals), 4)]):
        yield from batch


def _borderline(root: Path, config: Privacy, kept: Sequence[Original]) -> dict[str, float]:
    """Key -> face score of the kept images that the run's own gate was not far from rejecting."""
    keys = {one.key for one in kept}
    rows = (row for rows in joined(tables_of(root)[:1]) for row in rows)
    return {
        row["key"]: row["face_score"]
        for row in rows
        if (row.get("face_score") or 0) >= config.blur and row["key"] in keys
    }


def _write(audit: Audit, borderline: dict[str, float], kept: dict[str, Original]) -> Iterator[str]:
    """Sheets and a table to fill in, for the owner's eyes only."""
    order, folder = audit.order(), audit.folder
    with storage.explained(folder):
        folder.parent.mkdir(exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    controls = {id(one) for one in audit.controls}
    sheets = []
    for page in range(-(-len(order) // PAGE)):
        shown = order[page * PAGE : (page + 1) * PAGE]
        coarse = [id(one) not in controls and one.key in borderline for one in shown]
        sheets.append(f"sheet_{page + 1:03d}.png")
        _sheet(folder / sheets[-1], list(range(page * PAGE + 1, page * PAGE + 1 + len(shown))), shown, coarse)
    nearest = sorted(borderline, key=lambda key: -borderline[key])[:PAGE]
    if nearest:
        shown = [kept[key] for key in nearest]
        _sheet(folder / "borderline.png", [int(key) for key in nearest], shown, [True] * len(shown))
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(ANSWERS)
    rows.writerows([number, sheets[(number - 1) // PAGE], ""] for number in range(1, len(order) + 1))
    _private(folder / "answers.csv", out.getvalue().encode())
    mixed = f" and {len(audit.controls)} pictures with people mixed in" if audit.controls else ""
    yield f"sample     {len(audit.sampled)} of {audit.kept} kept images, at random (seed {audit.config.seed}){mixed}"
    yield f"sheets     {len(sheets)} in {folder}, readable by you alone"
    yield f"coarse     {len(borderline)} kept images with a face score of {audit.config.blur:g} and more"
    yield f"answers    fill in {folder / 'answers.csv'}: yes where a person can be seen, else no"
    yield "next       the same command with auditor=NAME states the bound"


def _sheet(path: Path, numbers: Sequence[int], shown: Sequence[Original], coarse: Sequence[bool]) -> None:
    tiles = []
    for number, picture, is_coarse in zip(numbers, _read_all(shown), coarse, strict=True):
        pixels_CHW = picture.pixels_CHW
        if pixels_CHW is not None and is_coarse:
            pixels_CHW = _coarse(pixels_CHW)
        verdict = "kept" if pixels_CHW is not None else "error"
        tiles.append(Tile(f"{number:09d}", "shown coarsely" if is_coarse else "", verdict, "", pixels_CHW))
    _private(path, contact_sheet(tiles, columns=5, side=SIDE))


def _coarse(pixels_CHW: np.ndarray) -> np.ndarray:
    """Recognisable as a head, not as whose."""
    picture = Image.fromarray(np.ascontiguousarray(pixels_CHW.transpose(1, 2, 0)))
    scale = CELLS / max(picture.size)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    small = picture.resize(size, Image.Resampling.BOX)
    return np.asarray(small.resize(picture.size, Image.Resampling.BICUBIC)).transpose(2, 0, 1)


def _private(path: Path, data: bytes) -> None:
    with storage.explained(path):
        storage.write(path, data)  # its folder lets nobody else in meanwhile
        path.chmod(0o600)


def _read(audit: Audit, path: Path) -> dict[int, bool | None]:
    """Number -> is there a person; None: not answered."""
    known: dict[str, bool | None] = {"yes": True, "y": True, "1": True, "no": False, "n": False, "0": False, "": None}
    wanted = set(range(1, len(audit.sampled) + len(audit.controls) + 1))
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
        found = {int(row["number"]): known[row["person"].strip().lower()] for row in rows}
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error!r}): every line wants number, sheet and yes or no") from None
    if found.keys() != wanted:
        raise ConfigError(
            f"{path}: answers {len(found)} pictures, the sample has {len(wanted)}: it was drawn with other settings; "
            "choose another name (name=...)"
        )
    return found


def _by_detector(audit: Audit) -> tuple[int, int]:
    """How many of sample and controls the gates reject; what they cannot judge counts as found."""
    from genir import ranks
    from genir.gate import judge
    from genir.runs.build import build_gates, gate_device

    wanted = audit.config.detector
    assert wanted is not None
    checks = wanted.checks()
    if not checks:
        raise ConfigError("verify --privacy: detector has no threshold")
    device = gate_device(ranks.device("auto", ranks.Worker()))
    gates = build_gates(wanted, device)

    def found(originals: Sequence[Original]) -> int:
        hits = 0
        for picture in _read_all(originals):
            judge([picture], gates, checks, False, device)
            hits += picture.verdict is None or picture.verdict.verdict != "kept"
        return hits

    return found(audit.sampled), found(audit.controls)


def _detector_name(audit: Audit) -> str:
    assert audit.config.detector is not None
    return ", ".join(check.in_words() for check in audit.config.detector.checks())


def _controls(found: int, of: int, recall: float) -> str:
    if not of:
        return "none: what the auditor misses is not measured, and taken as nothing (controls=FOLDER measures it)"
    return f"{found} of {of} pictures with people were found: the auditor finds at least {recall:.1%}"


def _report(audit: Audit, hits: int, found: int, auditor: str) -> list[str]:
    """State it, and keep it beside the answers."""
    n, controls = len(audit.sampled), len(audit.controls)
    each = 1 - (1 - CONFIDENCE) / 2 if controls else CONFIDENCE
    recall = lower_bound(found, controls, each) if controls else 1.0
    share = min(1.0, upper_bound(hits, n, each) / recall) if recall else 1.0
    same = audit.config.detector is not None and audit.config.detector.face is not None
    word = "estimate" if same else "bound"
    lines = [
        f"audited    {n} of {audit.kept} kept images, drawn at random (seed {audit.config.seed}), by {auditor}",
        f"found      {hits} with a recognisable person ({hits / n:.2%})",
        f"controls   {_controls(found, controls, recall)}",
        f"{word:10s} at most {share * 1e6:,.0f} per million kept images, with {CONFIDENCE:.0%} confidence (n = {n})",
    ]
    if same:
        lines.append("           not a bound: this is the run's own network again, which misses the same faces")
    lines += ["not assessed:", *(f"  {text}" for text in NOT_ASSESSED)]
    facts: dict[str, Any] = {
        "auditor": auditor,
        "n": n,
        "kept": audit.kept,
        "found": hits,
        "controls": controls,
        "controls_found": found,
        "recall_at_least": recall,
        f"{word}_per_million": share * 1e6,
        "confidence": CONFIDENCE,
        "seed": audit.config.seed,
        "not_assessed": NOT_ASSESSED,
    }
    with storage.explained(audit.folder):
        audit.folder.parent.mkdir(exist_ok=True)
        audit.folder.mkdir(mode=0o700, exist_ok=True)
    _private(audit.folder / "result.json", (json.dumps(facts, indent=1) + "\n").encode())
    return lines
