"""The sections about a run of `genir generate`."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from genir.errors import PlanError
from genir.jobs.report import charts, gallery, labels, statements, tables
from genir.jobs.report.page import Page, bars, percent, table, tiles
from genir.runs.summary import Summary, human_bytes, read_plan, summarise
from genir.runs.workers import worker_reports

if TYPE_CHECKING:
    from pathlib import Path

_MOST_GROUPS = 200


def add(page: Page, folder: str, root: Path, images: int) -> None:
    """Overview, scores, keep rate in task order, categories, gallery, labels, workers, privacy, licences."""
    plan, summary = read_plan(root), summarise(root)
    if not summary.done:
        raise PlanError(f"{folder}: nothing is finished yet; `genir status {folder}` says how far it is")
    found = tables.read(root / "image", plan)
    page.lead(
        f"{summary.kept:,} synthetic images kept of {summary.done:,} generated, "
        f"goal of the latest launch: {summary.goal} ({summary.state})"
    )
    _overview(page, summary)
    _scores(page, plan, found)
    _order(page, root, plan)
    _categories(page, found)
    page.gallery(
        gallery.facts(folder, root, plan, found, images),
        "A sample, evenly spread over the run: half of it kept images, then each reason alike. Images in which a face "
        "was seen are not stored, or shown beyond recognition.",
    )
    labels.add(page, root, plan, found.rows)
    _workers(page, root)
    statements.add(page, root, plan)


def _overview(page: Page, summary: Summary) -> None:
    rejected = sum(count for reason, count in summary.reasons.items() if not reason.startswith("error:"))
    errors = sum(summary.reasons.values()) - rejected
    planned = max(summary.wanted, summary.done)
    funnel = [("asked for", planned, "plan"), ("made and judged", summary.done, "plan")]
    funnel += [(f"rejected: {name}", count, "rejected") for name, count in summary.reasons.most_common()]
    funnel += [("kept", summary.kept, "kept")]
    page.section(
        "Overview",
        tiles(
            {
                "kept": (f"{summary.kept:,}", f"{percent(summary.kept, summary.done)} of what was made"),
                "rejected": (f"{rejected:,}", f"{percent(rejected, summary.done)}, by the first failing check"),
                "errors": (f"{errors:,}", "rows without a picture"),
                "stored": (human_bytes(summary.image_bytes), f"in {summary.shards_done:,} shards"),
            }
        ),
        bars(funnel, planned),
        note=f"Quarantined shards: {', '.join(summary.quarantined)}" if summary.quarantined else "",
    )


def _scores(page: Page, plan: dict[str, Any], found: tables.Rows) -> None:
    limits = tables.limits(plan)
    figures, constant = [], list[str]()
    for column, kind in plan["columns"].items():
        if kind != "float":
            continue
        bounds = limits.get(column, (None, None))
        histogram = tables.score_histogram(found.rows, column, bounds)
        if histogram is None:
            constant.append(column)
            continue
        remarks = [f"{histogram.outside:,} beyond the ends, counted there"] if histogram.outside else []
        remarks += [f"{histogram.missing:,} without this score"] if histogram.missing else []
        figures.append(
            charts.histogram(column, histogram.edges, histogram.kept, histogram.others, bounds, "; ".join(remarks))
        )
    legend = (
        '<p class="legend"><i class="kept"></i> kept <i class="rejected"></i> rejected, for whatever reason '
        '<i class="bound"></i> limit</p>'
    )
    same = f"the same for all images: {', '.join(constant)}" if constant else ""
    note = "; ".join(part for part in (found.note, same) if part)
    page.section("Scores", legend, f'<div class="grid">{"".join(figures)}</div>', note=note)


def _order(page: Page, root: Path, plan: dict[str, Any]) -> None:
    places, rates = tables.keep_rate_in_order(root / "image", plan)
    if len(places) > 1:
        chart = charts.lines("kept, per cent", {"kept": (places, rates)}, "over the task number; all shards", zero=True)
        page.section("Keep rate in task order", f'<div class="grid">{chart}</div>')


def _categories(page: Page, found: tables.Rows) -> None:
    made, kept = Counter[str](), Counter[str]()
    worst: dict[str, Counter[str]] = {}
    for row in found.rows:
        made[row["category"]] += 1
        if row["verdict"] == "kept":
            kept[row["category"]] += 1
        else:
            worst.setdefault(row["category"], Counter())[row["reason"]] += 1
    if len(made) < 2:
        return
    rows = [
        (name or "(none)", count, kept[name], round(100 * kept[name] / count, 1), _first(worst.get(name)))
        for name, count in made.most_common(_MOST_GROUPS)
    ]
    more = f"the {_MOST_GROUPS} largest of {len(made)}" if len(made) > _MOST_GROUPS else ""
    note = "; ".join(part for part in (more, found.note) if part)
    page.section("Categories", table(["category", "made", "kept", "kept, %", "most frequent reason"], rows), note=note)


def _first(reasons: Counter[str] | None) -> str:
    if not reasons:
        return ""
    (name, count), *_ = reasons.most_common(1)
    return f"{name} ({count})"


def _workers(page: Page, root: Path) -> None:
    reports = {report.name: report for report in worker_reports(root)}
    rows = []
    for name, report in reports.items():
        facts = json.loads((root / "stats" / f"{name}.json").read_bytes())
        busy = round(100 * facts.get("making", 0.0) / report.seconds, 1) if report.seconds else 0.0
        rows.append((name, report.state, report.images, round(report.rate, 3), busy))
    if rows:
        page.section("Workers", table(["worker", "state", "images", "images/s", "model at work, %"], rows))
