"""`genir select`: other thresholds over the stored scores; no image is made, read or written."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genir.config.base import differences, read, resolve
from genir.config.select import Select
from genir.errors import ConfigError, PlanError
from genir.jobs.select.twins import Twins, exact, nearly
from genir.records import PRIVATE, first_failing, is_private, is_unseen
from genir.runs.summary import local_root
from genir.runs.tables import Table, joined, tables_of
from genir.shards import selection
from genir.shards.selection import Selection
from genir.sources import open_source
from genir.sources.open import open_chosen
from genir.sources.original import NO_PIXELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from genir.records import Check
    from genir.shards.files import Row
    from genir.shards.selection import Choice

SHOWN = 5  # keys


def select(run: str, overrides: Sequence[str]) -> Iterator[str]:
    """Lines for the user; the selection goes to `<run>/selections/NAME.parquet`.

    Raises:
        ConfigError: a threshold for a score that no table holds.
        PlanError: no run there; a selection of that name with another meaning.
    """
    root = local_root(run)
    tables = tables_of(root)
    config = _config(tables[0], overrides)
    checks = config.gates.checks()
    tables = _needed(root, tables, checks, config.duplicates == "near")
    digest, meaning = tables[0].plan["digest"], config.meaning() | {"stages": _stages(tables)}
    path = selection.path_of(root, config.name)
    if path.exists():
        _refuse_other(root, config.name, digest, meaning)
    twins = _twins(root, tables, checks, config)
    counts = _Counts()
    selection.write(
        path, (counts.count(_choices(rows, checks, twins), rows) for rows in joined(tables)), digest, meaning
    )
    yield from counts.lines(tables, path)
    yield from _without_pixels(f"{root}#{config.name}", root, config.name)


def _config(table: Table, overrides: Sequence[str]) -> Select:
    """The thresholds of the run itself, changed by the overrides."""
    root = table.folder if table.name != "image" else table.folder.parent
    gates = read(root / "config.yaml").get("gates")
    if not isinstance(gates, dict):
        raise PlanError(f"{root}/config.yaml: names no gates; a run of `genir generate` or `genir score` does")
    config = resolve(Select, {"gates": gates | {"score_only": False}}, "select", overrides)
    if config.gates.score_only:
        raise ConfigError("select: gates=score_only has no thresholds to select by")
    return config


def _needed(root: Path, tables: Sequence[Table], checks: Sequence[Check], by_hash: bool) -> list[Table]:
    """The first table, and those that hold a score that is asked for; raises ConfigError where none does."""
    asked = {check.column: check.in_words() for check in checks}
    needed = [tables[0]]
    for column, words in (asked | ({"phash": "duplicates=near"} if by_hash else {})).items():
        holding = [table for table in tables if column in table.columns]
        if not holding:
            config = "configs/score_duplicates.yaml" if column == "phash" else "CONFIG.yaml"
            raise ConfigError(
                f"select: {words}: no table of {root} holds {column}; measure it first: genir score {config} source=..."
            )
        needed += [table for table in holding if table not in needed]
    return needed


def _stages(tables: Sequence[Table]) -> dict[str, str]:
    return {table.name: table.plan["digest"] for table in tables}


def _refuse_other(root: Path, name: str, digest: str, meaning: dict[str, Any]) -> None:
    """The same selection over a run that has grown replaces the old one; another one does not."""
    old = selection.read(root, name)
    changed = differences(old.meaning, meaning) or ([] if old.run == digest else ["run: another one"])
    if changed:
        shown = "; ".join(changed[:6]) + (f"; and {len(changed) - 6} more" if len(changed) > 6 else "")
        raise PlanError(f"{root}: the selection {name!r} means something else: {shown}; choose another name (name=...)")


def decide(row: Row, checks: Sequence[Check]) -> tuple[str, str]:
    """Verdict and reason of one row.

    A null is a score that was not measured, unless the row says that it was the reason itself: a score that could not
    be computed is inside no bounds. What was rejected before a gate looked for persons is never taken: nobody knows who
    is in it.
    """
    if row["verdict"] == "error" or is_private(row["reason"]):
        return "rejected", row["reason"]  # the pixels of what a face was seen in are never stored: no way back
    known = [check for check in checks if row.get(check.column) is not None or row["reason"] == check.reason]
    reason = first_failing(known, row)
    if row.get("nonfinite") and not is_private(reason):
        reason = "signal.nonfinite"
    if reason:
        return "rejected", reason
    if len(known) < len(checks):
        return "undecidable", next(check.reason for check in checks if check not in known)
    if row["verdict"] != "kept" and is_unseen(row):
        return "undecidable", next(reason for reason, column in PRIVATE.items() if row.get(column, 0) is None)
    return "kept", ""


def _choices(rows: Iterable[Row], checks: Sequence[Check], twins: Twins) -> list[Choice]:
    choices = []
    for row in rows:
        verdict, reason = decide(row, checks)
        twin = twins.get(int(row["key"])) if verdict == "kept" else None
        if twin is not None:
            verdict, reason = "rejected", f"{twin[0]}:{twin[1]:09d}"
        choices.append((row["key"], verdict, reason))
    return choices


def _twins(root: Path, tables: Sequence[Table], checks: Sequence[Check], config: Select) -> Twins:
    def kept() -> Iterator[list[Row]]:
        return ([row for row in rows if decide(row, checks)[0] == "kept"] for rows in joined(tables))

    if config.duplicates is None:
        return {}
    found = exact(kept)
    if config.duplicates == "near":
        reasons = [
            reason or ("" if verdict == "kept" else verdict)
            for rows in joined(tables)
            for verdict, reason in (decide(row, checks) for row in rows)
        ]
        taken = Selection(config.name, tables[0].plan["digest"], {}, reasons)
        found = nearly(kept, open_chosen(root, taken)) | found
    return found


@dataclass
class _Counts:
    """What became of the tasks."""

    verdicts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    undecidable: Counter[str] = field(default_factory=Counter)
    kept_before: int = 0
    taken_out: int = 0
    put_in: int = 0

    def count(self, choices: list[Choice], rows: list[Row]) -> list[Choice]:
        """Count, and pass on."""
        for (_, verdict, reason), row in zip(choices, rows, strict=True):
            before, now = row["verdict"] == "kept", verdict == "kept"
            self.verdicts[verdict] += 1
            if verdict == "rejected":
                self.reasons[reason if reason.startswith("error") else reason.partition(":")[0]] += 1
            elif verdict == "undecidable":
                self.undecidable[reason] += 1
            self.kept_before += before
            self.taken_out += before and not now
            self.put_in += now and not before
        return choices

    def lines(self, tables: Sequence[Table], path: Path) -> Iterator[str]:
        """For a person."""
        total, tasks = self.verdicts.total(), tables[0].plan["tasks"]
        behind = [table.name for table in tables if table.covered == total < tasks]
        later = f"; {', '.join(behind)} has no more of its {tasks} tasks yet" if behind else ""
        yield f"kept        {self.verdicts['kept']} of {total}{later}"
        yield f"before      {self.kept_before}: {self.taken_out} taken out, {self.put_in} put in"
        yield f"rejected    {_in_words(self.reasons)}"
        if self.undecidable:
            yield f"undecidable {_in_words(self.undecidable)}: not measured there; `genir score` measures it"
        yield f"selection   {path}"


def _in_words(counts: Counter[str]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in counts.most_common()) or "none"


def _without_pixels(place: str, root: Path, name: str) -> Iterator[str]:
    """Name what is kept although no pixels of it are stored."""
    source = open_source(place)
    step = source.shard_size or 1024
    originals = (one for first in range(0, source.available, step) for one in source.originals(first, first + step))
    missing = (one.key for one in originals if one.reason == NO_PIXELS)
    shown = list(islice(missing, SHOWN))
    if shown:
        rest = sum(1 for _ in missing)
        more = f" and {rest} more" if rest else ""
        yield f"no pixels   of {', '.join(shown)}{more}: make them with genir regenerate {root} --selection {name}"
    yield f"use it as   {place} (degrade: input=...)"
