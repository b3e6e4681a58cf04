"""Finished cells -> summary, Markdown table, plot of quality against the number of pictures."""

from __future__ import annotations

import io
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from genir.config.utility import BICUBIC
from genir.jobs.utility.compare import by_photograph, interval
from genir.shards import table

if TYPE_CHECKING:
    from genir.jobs.utility.launch import Launch
    from genir.shards.files import Row

Cells = dict[tuple[str, int], dict[int, list["Row"]]]
"""(set, pictures) -> seed -> the rows of what is finished."""


_ENOUGH = 5  # seeds


def summarise(launch: Launch) -> dict[str, Any]:
    """All numbers of what is finished."""
    cells: Cells = defaultdict(dict)
    for cell in launch.cells:
        if cell.path.exists():
            cells[cell.name, cell.pictures][cell.seed] = table.decode(cell.path.read_bytes())
    names = [metric.name for metric in launch.metrics]
    columns = launch.amounts()
    sets = {
        column: {
            name: {"pictures": count, "seeds": len(cells[name, count]), **_values(cells[name, count], names)}
            for name, count in wanted.items()
            if cells.get((name, count))
        }
        for column, wanted in columns.items()
    }
    differences = {
        column: {
            f"{one} - {other}": {
                name: interval(_difference(cells, (one, wanted[one]), (other, wanted[other]), name))._asdict()
                for name in names
            }
            for one, other in launch.config.compare
            if {one, other} <= wanted.keys()
            and cells.get((one, wanted[one]), {}).keys() & cells.get((other, wanted[other]), {}).keys()
        }
        for column, wanted in columns.items()
    }
    untrained = cells.get((BICUBIC, 0))
    return {
        "decides": launch.config.decides,
        "metrics": {metric.name: metric.facts(launch.degradation.scale) for metric in launch.metrics},
        "costs_seconds_a_picture": launch.costs,
        "photographs": len({row["photograph"] for row in untrained[0]}) if untrained else 0,
        BICUBIC: _values(untrained, names) if untrained else {},
        "columns": sets,
        "differences": differences,
    }


def _values(rows: dict[int, list[Row]], names: list[str]) -> dict[str, Any]:
    return {name: interval(by_photograph(list(rows.values()), name))._asdict() for name in names}


def _difference(cells: Cells, one: tuple[str, int], other: tuple[str, int], metric: str) -> Any:
    """(seeds, photographs), of the seeds that both have."""
    seeds = sorted(cells[one].keys() & cells[other].keys())
    first, second = (by_photograph([cells[side][seed] for seed in seeds], metric) for side in (one, other))
    return first - second


def page(summary: dict[str, Any]) -> str:
    """The tables, as Markdown that reads as plain text."""
    metrics, decides = summary["metrics"], summary["decides"]
    heads = [_head(name, facts, decides) for name, facts in metrics.items()]
    parts = [
        f"Means over {summary['photographs']} photographs and all seeds; [95 % interval: photographs and seeds drawn",
        f"again]. *{decides}* decides. † needs no reference: shown, but circular where a gate has used it.",
    ]
    for column, sets in summary["columns"].items():
        parts += ["", f"# {column}", "", f"| set | pictures | seeds | {' | '.join(heads)} |"]
        parts += ["| --- |" + " ---: |" * (2 + len(heads))]
        rows = {BICUBIC: {"pictures": 0, "seeds": 0, **summary[BICUBIC]}, **sets}
        for name, one in rows.items():
            values = " | ".join(_told(one[metric]) if metric in one else "–" for metric in metrics)
            parts.append(f"| {name} | {one['pictures']} | {one['seeds'] or '–'} | {values} |")
        for pair, values in summary["differences"][column].items():
            told = ", ".join(f"{name} {_told(values[name], '+')}" for name in metrics)
            parts += ["", f"{pair}: {told}"]
    if any(one["seeds"] < _ENOUGH for sets in summary["columns"].values() for one in sets.values()):
        parts += [
            "",
            f"Fewer than {_ENOUGH} seeds: the intervals hardly know how much trainings differ, and are too narrow.",
        ]
    known = ", ".join(f"{name} {cost:.2f}" for name, cost in summary["costs_seconds_a_picture"].items())
    return "\n".join([*parts, "", f"Seconds of generation a picture: {known or 'not known'}."]) + "\n"


def _head(name: str, facts: dict[str, Any], decides: str) -> str:
    shown = f"*{name}*" if name == decides else name
    return f"{shown} {'↓' if facts['better'] == 'lower' else '↑'}{'†' if facts['reference'] == 'none' else ''}"


def _told(one: dict[str, float], sign: str = "") -> str:
    places = 2 if max(abs(one["low"]), abs(one["high"])) >= 10 else 4
    low, high = (f"{one[end]:{sign}.{places}f}" for end in ("low", "high"))
    return f"{one['value']:{sign}.{places}f} [{low}, {high}]"


def plot(summary: dict[str, Any]) -> bytes | None:
    """PNG of the deciding metric against the number of pictures; None without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    decides = summary["decides"]
    points = defaultdict[str, dict[int, dict[str, float]]](dict)
    for sets in summary["columns"].values():
        for name, one in sets.items():
            points[name][one["pictures"]] = one[decides]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for number, (name, found) in enumerate(points.items()):
        counts = sorted(found)
        shift = 1 + 0.02 * (number - len(points) / 2)  # intervals beside each other, not on each other
        values = [found[count]["value"] for count in counts]
        ends = [
            [found[n]["value"] - found[n]["low"] for n in counts],
            [found[n]["high"] - found[n]["value"] for n in counts],
        ]
        axes.errorbar([count * shift for count in counts], values, ends, label=name, marker="o", capsize=3)
    if decides in summary[BICUBIC]:
        axes.axhline(summary[BICUBIC][decides]["value"], color="gray", linestyle=":", label=BICUBIC)
    better = summary["metrics"][decides]["better"]
    axes.set(xscale="log", xlabel="pictures", ylabel=f"{decides} ({better} is better)")
    axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()
