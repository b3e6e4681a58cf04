"""`genir calibrate`: thresholds at a chosen share of rejected real HQ, and what they hit of known negatives."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from genir import images, ranks, storage
from genir.config.base import resolve
from genir.config.gates import Gates
from genir.errors import ConfigError, PlanError
from genir.runs.meter import Meter
from genir.runs.summary import read_plan
from genir.runs.tables import Table, joined, tables_of
from genir.shards import table
from genir.sources import open_source, taken
from genir.sources.pictures import Picture, pictures
from genir.thresholds import ROC_RATES, Scores, Side, area, held_out, limits_at, roc, share_rejected

if TYPE_CHECKING:
    from genir.config.calibrate import Calibrate
    from genir.records import Check
    from genir.shards.files import Row

DIGITS = 4  # of a threshold
LEAST = 20  # pictures


@dataclass(frozen=True)
class Asked:
    """A threshold that is to be set."""

    path: str
    """Below `gates`."""
    check: Check
    side: Side

    @classmethod
    def at(cls, path: str) -> Asked:
        """The threshold of that path; raises ConfigError where it is none."""
        checks = _gates([path]).checks()
        if len(checks) != 1 or 0.5 not in (checks[0].low, checks[0].high):
            raise ConfigError(f"checks: {path} is no threshold of one score; such as quality.piqe.max")
        return cls(path, checks[0], "low" if checks[0].low is not None else "high")

    def rounded(self, limit: float) -> float:
        """A threshold of few digits that rejects no more than the limit does."""
        unit = 10.0 ** (math.floor(math.log10(abs(limit))) + 1 - DIGITS) if limit else 10.0**-DIGITS
        steps = math.floor(limit / unit) if self.side == "low" else math.ceil(limit / unit) + self.check.reaching
        return float(f"{steps * unit:.{DIGITS}g}")


def calibrate(config: Calibrate) -> Iterator[str]:
    """Lines for the user; `gates.yaml`, `roc.png` and the scores go to the run directory.

    Raises:
        GenirError: a check that is none, a place without pictures, a calibration that is there already.
    """
    root, asked = Path(config.run), [Asked.at(path) for path in config.checks]
    if (root / "gates.yaml").exists():
        raise PlanError(f"{root}: holds a calibration already; choose another directory (run=...)")
    measure = _Measure(config, asked)
    reference = [row for place in config.reference for row in measure(place)]
    negatives = [row for place in config.negatives for row in measure(place)]
    if len(reference) < LEAST:
        raise ConfigError(f"reference: {len(reference)} pictures, but at least {LEAST} are needed")
    columns = [one.check.column for one in asked]
    scores = Scores(_array(reference, columns), _array(negatives, columns), [one.side for one in asked])
    try:
        limits_C = limits_at(scores.reference_NC, config.reject)
        expected, bound = held_out(scores.reference_NC, config.reject)
    except ValueError as error:
        raise ConfigError(f"reference: {error}, more than reject={config.reject:g}; look at these pictures") from None
    chosen = [one.rounded(scores.threshold(place, limits_C)) for place, one in enumerate(asked)]
    rounded_C = np.array([-value if one.side == "low" else value for one, value in zip(asked, chosen, strict=True)])
    lines = [
        *_sets(config, reference, negatives, measure.unreadable),
        *_table(asked, chosen, scores, rounded_C),
        _together(share_rejected(scores.reference_NC, rounded_C), expected, bound),
        *_hits(scores, rounded_C),
    ]
    yield from lines
    with storage.explained(root):
        root.mkdir(parents=True, exist_ok=True)
        _write_scores(root, columns, reference, negatives)
        if negatives:
            yield f"drawing    {_draw(root / 'roc.png', asked, scores)}"
        storage.write(root / "gates.yaml", _fragment(lines, asked, chosen))
    yield f"use it as  gates={root / 'gates.yaml'} (generate, score, select)"


def _gates(paths: Sequence[str]) -> Gates:
    """Only what these thresholds ask for; they stand at 0.5, which all of them allow. Raises ConfigError."""
    nothing = {"face": None, "signal": None, "quality": {}}
    return resolve(Gates, nothing, "checks", [f"{path}=0.5" for path in paths])


class _Measure:
    """Place -> rows with the scores that are asked for: stored ones where a run has them all."""

    def __init__(self, config: Calibrate, asked: Sequence[Asked]) -> None:
        self._config, self._columns = config, [one.check.column for one in asked]
        self._gates, self._wanted = None, _gates([one.path for one in asked])
        self.unreadable: list[str] = []
        """Names of pictures without a score, with the reason."""

    def __call__(self, place: str) -> list[Row]:
        """Rows {source, score, ...} of a place."""
        tables = self._tables(Path(place).expanduser())
        held = {column for one in tables for column in one.columns}
        if tables and held.issuperset(self._columns):
            rows = [row for rows in joined(tables) for row in rows if row["verdict"] != "error"]
            rows = [row for row in rows if any(row[column] is not None for column in self._columns)]
            return [{"source": row["key"], **{name: row[name] for name in self._columns}} for row in self._spread(rows)]
        return self._from_pixels(place)

    def _tables(self, root: Path) -> list[Table]:
        if not root.is_dir():
            return []
        if (root / "plan.json").exists() and read_plan(root).get("stage") == ".":
            return [Table(root.name, root, read_plan(root))]
        is_run = (root / "plan.json").exists() or any(root.glob("score_*/plan.json"))
        found = tables_of(root) if is_run else []
        return [one for one in found if one is found[0] or not set(self._columns).isdisjoint(one.columns)]

    def _spread(self, rows: list[Row]) -> list[Row]:
        count = min(len(rows), self._config.limit or len(rows))
        return [rows[n * len(rows) // count] for n in range(count)]

    def _from_pixels(self, place: str) -> list[Row]:
        import torch

        from genir.gate import judge
        from genir.runs.build import build_gates, gate_device

        source, config = open_source(place), self._config
        torch.set_num_threads(config.threads)
        device = gate_device(ranks.device(config.device, ranks.Worker()))
        self._gates = self._gates or build_gates(self._wanted, device)
        found = list(taken(source))
        count = min(len(found), config.limit or len(found))
        found = [found[n * len(found) // count] for n in range(count)]
        rows = []
        with Meter(count, "picture") as meter:
            for number, batch in enumerate(pictures([found[n : n + 4] for n in range(0, count, 4)]), 1):
                for one in batch:
                    if one.pixels_CHW is not None and config.size is not None:
                        self._reduce(one, one.pixels_CHW, config.size)
                judge(batch, self._gates, [], True, device)
                rows += [{"source": one.original.name, **one.scores} for one in batch if not one.error]
                self.unreadable += [f"{one.original.name}: {one.error}" for one in batch if one.error]
                meter(min(4 * number, count), f"of {place}")
        return rows

    @staticmethod
    def _reduce(one: Picture, pixels_CHW: np.ndarray, size: tuple[int, int]) -> None:
        height, width = pixels_CHW.shape[1:]
        if height < size[0] or width < size[1]:
            one.error, one.pixels_CHW = f"ImageError: {height}x{width} pixels would have to be enlarged", None
        else:
            one.pixels_CHW = images.fit(pixels_CHW, size)


def _array(rows: Sequence[Row], columns: Sequence[str]) -> np.ndarray:
    values = [[math.nan if row[name] is None else float(row[name]) for name in columns] for row in rows]
    return np.array(values, np.float64).reshape(len(rows), len(columns))


def _sets(config: Calibrate, reference: Sequence[Row], negatives: Sequence[Row], unread: Sequence[str]) -> list[str]:
    lines = [f"reference  {len(reference)} pictures of {', '.join(config.reference)}"]
    if config.negatives:
        lines.append(f"negatives  {len(negatives)} pictures of {', '.join(config.negatives)}")
    if config.size:
        lines.append(f"size       {config.size[0]}x{config.size[1]} pixels")
    return lines + ([f"left out   {len(unread)}: {'; '.join(unread[:3])}"] if unread else [])


def _table(asked: Sequence[Asked], chosen: Sequence[float], scores: Scores, limits_C: np.ndarray) -> Iterator[str]:
    hits = len(scores.negatives_MC) > 0
    yield f"{'threshold':34s} rejects alone" + ("   hits alone   area under its ROC curve" if hits else "")
    for place, (one, value) in enumerate(zip(asked, chosen, strict=True)):
        column, limit = slice(place, place + 1), limits_C[place : place + 1]
        own = share_rejected(scores.reference_NC[:, column], limit)
        line = f"  {one.path + ' ' + format(value, 'g'):32s} {own:13.1%}"
        if hits:
            hit = share_rejected(scores.negatives_MC[:, column], limit)
            line += f"   {hit:10.1%}   {area(*roc(scores, place)):.3f}"
        yield line


def _together(share: float, expected: float, bound: float) -> str:
    return (
        f"together   reject {share:.1%} of the reference; of pictures that did not set them (five folds) "
        f"{expected:.1%}, at most {bound:.1%} with 95 % confidence"
    )


def _hits(scores: Scores, limits_C: np.ndarray) -> Iterator[str]:
    if not len(scores.negatives_MC):
        yield "hits       not known: no negatives were given"
        return
    x, y = roc(scores, None)
    at = ", ".join(f"{rate:.0%}: {y[np.searchsorted(x, rate, side='right') - 1]:.1%}" for rate in ROC_RATES)
    hit, wrong = (share_rejected(each, limits_C) for each in (scores.negatives_MC, scores.reference_NC))
    yield f"hits       {hit:.1%} of the negatives (recall)"
    found = round(hit * len(scores.negatives_MC))
    rejected = found + round(wrong * len(scores.reference_NC))
    if rejected:
        yield f"precision  {found / rejected:.1%} of the {rejected} rejected pictures are negatives"
    yield f"roc        reference rejected: negatives hit; {at}; area {area(x, y):.3f}"


def _fragment(lines: Sequence[str], asked: Sequence[Asked], chosen: Sequence[float]) -> bytes:
    gates: dict[str, Any] = {}
    for one, value in zip(asked, chosen, strict=True):
        *parents, last = one.path.split(".")
        below = gates
        for key in parents:
            below = below.setdefault(key, {})
        below[last] = value
    about = "".join(f"# {line}\n" for line in ("Thresholds by genir calibrate.", *lines))
    return (about + yaml.safe_dump({"gates": gates}, sort_keys=False)).encode()


def _write_scores(root: Path, columns: Sequence[str], reference: Sequence[Row], negatives: Sequence[Row]) -> None:
    kinds: Any = {"set": "string", "source": "string", **dict.fromkeys(columns, "float")}
    rows = [
        {"set": name, **row} for name, found in (("reference", reference), ("negatives", negatives)) for row in found
    ]
    storage.write(root / "scores.parquet", table.encode(rows, kinds))


def _draw(path: Path, asked: Sequence[Asked], scores: Scores) -> str:
    """Where the curves are, or how they could be drawn."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return "none, it needs matplotlib: pip install 'genir[plot]'"
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    for place, one in enumerate(asked):
        x, y = roc(scores, place)
        axes.plot(x, y, linewidth=1, label=f"{one.path} ({area(x, y):.2f})")
    x, y = roc(scores, None)
    axes.plot(x, y, linewidth=2.5, color="black", label=f"together ({area(x, y):.2f})")
    axes.plot([0, 1], [0, 1], linewidth=0.5, color="gray")
    axes.set(xlabel="share of the reference that is rejected", ylabel="share of the negatives that is hit")
    axes.legend(loc="lower right", fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    storage.write(path, buffer.getvalue())
    return str(path)
