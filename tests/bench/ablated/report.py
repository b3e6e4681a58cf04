"""Finished rows -> table, plot, contact sheet and the line of figures."""

import json
from itertools import takewhile

import numpy as np
import torch
from ablated import paired
from ablated.rows import COMPARED
from ablated.scenes import SCORES, measure
from PIL import Image

from genir.backbone.load import load
from genir.metrics.features.frechet import frechet_distance
from genir.metrics.features.network import NAME
from genir.metrics.features.precision_recall import precision_recall
from tools.embedded.features import named_subjects

SHOWN = ("plain", "best", "swapped")
SHOWN_TASKS = 8


class Measured:
    """One row's figures over its seeds; distances (B,) are over the resamples, the sample itself first."""

    def __init__(self, features, scores, bench, counts_BN, drawn=True):
        real, truth_N = bench.real.features_NF, bench.scenes.truth_N
        self.drawn = drawn
        self.seeds_SB = torch.stack([paired.kernel_distances(one, real, counts_BN) for one in features])
        self.distance_B = self.seeds_SB.mean(0)
        self.frechet = _mean(frechet_distance(one, real) for one in features)
        self.recalls = [precision_recall(one, real).recall for one in features]
        self.kept = _mean(float((one <= bench.real.limits_S).all(1).float().mean()) for one in scores)
        self.accuracy = _mean(float((named_subjects(one) == truth_N).float().mean()) for one in features)

    @property
    def recall(self):
        return _mean(self.recalls)


def with_equal_noise(*rows):
    """The distance (B,) of each row over the seeds that all of them have; pictures that nothing drew have no noise."""
    common = min((len(row.seeds_SB) for row in rows if row.drawn), default=1)
    return [row.seeds_SB[:common].mean(0) for row in rows]


def report(bench, rows, best, out, plot_path):
    """Print the table of the finished rows and the figures; draw the plot and the contact sheet."""
    scenes = bench.scenes
    counts_BN = paired.resamples(len(scenes.captions))
    measured = {"renders": Measured([scenes.features_NF], [scenes.scores_NS], bench, counts_BN, drawn=False)}
    backbone = load("embedded")
    again, _ = backbone.decode_latents(backbone.encode_images(scenes.images_NCHW, [0] * len(scenes.captions)))
    again = ([one] for one in measure(again, bench.extractor))
    measured["roundtrip"] = Measured(*again, bench, counts_BN, drawn=False)
    pictures = {}
    for name, row in rows.items():
        # up to the first that is not finished: the place of a seed is its noise
        found = list(takewhile(lambda one: one is not None, (bench.measured(row, seed) for seed in range(row.seeds))))
        if found:
            pictures[name] = found[0][0]
            measured[name] = Measured([one[1] for one in found], [one[2] for one in found], bench, counts_BN)
    print(f"\n{len(scenes.captions)} tasks, distances to {len(bench.real.captions)} renders in {NAME}; intervals: 95 %")
    limits = ", ".join(f"{name} {limit:.1f}" for name, limit in zip(SCORES, bench.real.limits_S.tolist(), strict=True))
    print(
        "paired bootstrap over tasks, which knows nothing of what another seed of learning would give. Nearer, and gap"
    )
    print("closed: over the seeds that both rows have, so with equal noise; all else: over all seeds of the row.")
    print(f"Kept: none of {limits} exceeded; of those renders about 5 % exceed one.\n")
    _table(measured, rows, bench)
    for one, other in COMPARED:
        if {one, other} <= measured.keys():
            print(f"- {one} is nearer than {other} by {_text(_nearer(measured, one, other), 4)}")
    print()
    figures = _figures(measured, best)
    if len(measured) > 2:
        _plot(measured, plot_path)
    shown = [
        pictures[best if name == "best" else name] for name in SHOWN if (best if name == "best" else name) in pictures
    ]
    if shown:
        _sheet(shown, out / "sheet.png")
    print(json.dumps(figures))


def gap_closed(measured, name, to="oracle"):
    """(d_plain - d_row) / (d_plain - d_oracle) over the resamples; None where a row is missing."""
    if not {"plain", name, to} <= measured.keys():
        return None
    plain, row, end = with_equal_noise(*(measured[one] for one in ("plain", name, to)))
    return (plain - row) / (plain - end)


def _table(measured, rows, bench):
    print(
        "| row | seeds | kernel distance | nearer than plain | gap to oracle closed | gap to renders closed "
        "| Frechet | kept | recall | subject | s |\n|---|---|---|---|---|---|---|---|---|---|---|"
    )
    for name, one in measured.items():
        nearer = "" if "plain" not in measured else _text(_nearer(measured, name), 4)
        closed = [gap_closed(measured, name, to) for to in ("oracle", "renders")]
        spread = f" (seeds {_spread(one.seeds_SB[:, 0])})" if len(one.seeds_SB) > 1 else ""
        seconds = bench.seconds(rows[name]) if name in rows else None
        print(
            f"| {name} | {len(one.seeds_SB)} | {float(one.distance_B[0]):.4f}{spread} | {nearer} "
            f"| {' | '.join('' if c is None else _text(c, 2) for c in closed)} | {one.frechet:.2f} | {one.kept:.2f} "
            f"| {one.recall:.2f} | {one.accuracy:.2f} | {'' if seconds is None else round(seconds)} |",
            flush=True,
        )
    print()
    for name, row in rows.items():
        print(f"- {name}: {row.about}")


def _nearer(measured, name, than="plain"):
    other_B, own_B = with_equal_noise(measured[than], measured[name])
    return other_B - own_B


def _text(values_B, digits):
    own, low, high = paired.interval(values_B)
    return f"{own:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _spread(values_S):
    return f"{float(values_S.min()):.4f} to {float(values_S.max()):.4f}"


def _figures(measured, best):
    figures = {}
    for end, prefix in (("oracle", ""), ("renders", "renders_")):
        closed = gap_closed(measured, best, end)
        if closed is not None:
            own, low, _ = paired.interval(closed)
            figures |= {f"{prefix}gap_closed": round(own, 3), f"{prefix}gap_closed_low": round(low, 3)}
    if {"plain", best} <= measured.keys():
        pairs = list(zip(measured[best].recalls, measured["plain"].recalls, strict=False))  # of equal noise
        figures["recall_ratio"] = round(sum(ours for ours, _ in pairs) / sum(plain for _, plain in pairs), 3)
    if {"paper", best} <= measured.keys():
        # above real pictures of the same scenes: what the captions' mix of subjects adds is in both and cancels
        ours_B, papers_B, renders_B = with_equal_noise(*(measured[name] for name in (best, "paper", "renders")))
        own, _, high = paired.interval((ours_B - renders_B) / (papers_B - renders_B))
        nearer = paired.interval(_nearer(measured, best, "paper"))
        names = ("best_nearer_than_paper", "best_nearer_than_paper_low", "best_nearer_than_paper_high")
        figures |= {name: round(value, 4) for name, value in zip(names, nearer, strict=True)}
        figures |= {"best_vs_paper_distance_ratio": round(own, 3), "best_vs_paper_interval_high": round(high, 3)}
    for name, one in measured.items():
        figures[f"{name}_distance"] = round(float(one.distance_B[0]), 4)
        figures[f"{name}_keep_rate"] = round(one.kept, 3)
    return figures


def _plot(measured, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(reversed(measured))
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(10, 0.38 * len(names) + 1.3), sharey=True, width_ratios=(3, 1)
    )
    for place, name in enumerate(names):
        own, low, high = paired.interval(-_nearer(measured, name) if "plain" in measured else measured[name].distance_B)
        left.plot([low, high], [place, place], color="#4477aa", linewidth=2)
        seeds_S = measured[name].seeds_SB[:, 0]
        if "plain" in measured and measured[name].drawn:
            plain_S = measured["plain"].seeds_SB[:, 0]
            seeds_S = seeds_S[: len(plain_S)] - plain_S[: len(seeds_S)]
        left.plot(
            seeds_S.tolist() if measured[name].drawn else [own],
            [place] * len(seeds_S),
            "o",
            color="#99bbdd",
            markersize=4,
        )
        left.plot([own], [place], "o", color="#223355", markersize=6)
    left.axvline(0, color="0.7", linewidth=1)
    left.set_yticks(range(len(names)), names)
    left.set_xlabel(
        f"kernel distance to renders less that of plain ({NAME}): lower is better\n"
        "bars: 95 %, paired bootstrap over tasks; small dots: seeds of noise and learning"
    )
    right.barh(range(len(names)), [measured[name].kept for name in names], color="#ccbb44")
    right.set_xlim(0, 1)
    right.set_xlabel("kept")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def _sheet(pictures, path):
    """A column a row of the ablation, the same tasks."""
    picked = [images_NCHW[:: len(images_NCHW) // SHOWN_TASKS][:SHOWN_TASKS] for images_NCHW in pictures]
    grid = np.concatenate([np.concatenate(list(column), axis=2) for column in picked], axis=1)
    Image.fromarray(grid.transpose(1, 2, 0)).save(path)


def _mean(values):
    found = list(values)
    return sum(found) / len(found)
