"""The summary as a page of Markdown tables, readable as plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_DISTANCES = {  # what is better is marked; diversity has no better
    "kernel_distance": "kernel distance ↓",
    "kid": "KID ↓",
    "frechet_distance": "Frechet distance ↓",
    "fid": "FID ↓",
    "precision": "precision ↑",
    "recall": "recall ↑",
    "diversity": "diversity",
    "vendi": "Vendi",
}


def page(summary: dict[str, Any]) -> str:
    """All tables."""
    sets, metrics = summary["sets"], summary["metrics"]
    parts = []
    if metrics:
        head = ["set", "images", *(f"{name} {_arrow(facts)}" for name, facts in metrics.items())]
        rows = [[name, str(one["images"]), *(_mean(one, metric) for metric in metrics)] for name, one in sets.items()]
        parts += ["# Single images", "", *table(head, rows), "", *_notes(metrics)]
    else:
        parts += [f"{name}: {one['images']} images" for name, one in sets.items()]
    for name, one in sets.items():
        missing = (one["references"] or 0) - one["images"]
        if missing > 0 and one["metrics"]:
            parts.append(
                f"- {name}: {missing} of {one['references']} references have no picture here that was measured"
            )
        parts += [f"- {name}: {count} not measured: {reason}" for reason, count in one["not_measured"].items()]
        parts += [f"- {name}: {count} with a gap: {problem}" for problem, count in one["problems"].items()]
    for features in summary["features"].values():
        parts += ["", *_distances(features)]
    for name, one in sets.items():
        if one["by_category"] and metrics:
            columns = [metric for metric in metrics if metric in one["metrics"]]
            rows = [
                [category or "(none)", str(found["images"]), *(_number(found[metric]) for metric in columns)]
                for category, found in one["by_category"].items()
            ]
            parts += ["", f"# {name} by category", "", *table(["category", "images", *columns], rows)]
    return "\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table whose columns are aligned; the first to the left, numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        aligned = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        return f"| {' | '.join([cells[0].ljust(widths[0]), *aligned[1:]])} |"

    rule = [("-" * w if n == 0 else "-" * (w - 1) + ":") for n, w in enumerate(widths)]
    return [line(head), line(rule), *(line(row) for row in rows)]


def _distances(features: dict[str, Any]) -> list[str]:
    sets = features["sets"]
    known = [name for name in _DISTANCES if any(name in one for one in sets.values())]
    rows = [[key, str(one["images"]), *(_distance(one, name) for name in known)] for key, one in sets.items()]
    against = next((one["reference_images"] for one in sets.values() if "reference_images" in one), None)
    title = f"# Sets, by {features['features']}" + (f", against {against} images of the reference" if against else "")
    note = "Equally many images of every set; ± is one standard error."
    if any(one.get("paired") for one in sets.values()):
        note += " Images are compared with all references of the set but their own."
    return [title, "", *table(["set", "images", *(_DISTANCES[name] for name in known)], rows), "", note]


def _distance(one: dict[str, Any], name: str) -> str:
    error = one.get(f"{name}_standard_error")
    return _number(one.get(name)) + (f" ± {_number(error)}" if error is not None else "")


def _notes(metrics: dict[str, Any]) -> list[str]:
    lines = []
    for name, facts in metrics.items():
        border = f", without a border of {facts['crop_border']}" if facts["crop_border"] else ""
        full = "against each image's reference" if facts["reference"] != "none" else "without reference"
        shown = "".join(f", weights {sha[:12]}" for sha in facts["weights_sha256"].values())
        lines.append(
            f"- {name}: {facts['better']} is better; {full}; {facts['space']}{border}; {facts['source']}, "
            f"{facts['licence']}{shown}"
        )
    return lines


def _arrow(facts: dict[str, Any]) -> str:
    return "↓" if facts["better"] == "lower" else "↑"


def _mean(one: dict[str, Any], metric: str) -> str:
    return _number(one["metrics"].get(metric, {}).get("mean"))


def _number(value: float | None) -> str:
    """Four figures that say something; a dash where nothing was measured."""
    if value is None:
        return "–"
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.4f}"
