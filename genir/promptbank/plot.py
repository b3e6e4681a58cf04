"""One page of pictures about a bank."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from genir.errors import ExtraError

if TYPE_CHECKING:
    from genir.promptbank.stats import Stats


def page(found: Stats, kind: str) -> bytes:
    """The encoded page; `kind` is png, svg or pdf.

    Raises:
        ExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ExtraError("a plot needs matplotlib: pip install 'genir[plot]'") from None
    figure = Figure(figsize=(11, 8), layout="constrained")
    (top_left, top_right), (bottom_left, bottom_right) = figure.subplots(2, 2)
    figure.suptitle(f"{found.prompts:,} prompts, {found.words:,} different words")

    categories = found.categories.most_common()[::-1]
    top_left.barh([name or "(none)" for name, _ in categories], [count for _, count in categories])
    top_left.tick_params(axis="y", labelsize=6)
    top_left.set(title="categories", xlabel="prompts")

    top_right.bar(list(found.lengths), list(found.lengths.values()), width=0.9)
    top_right.set(title="length", xlabel="words", ylabel="prompts")

    counts = [count / found.prompts for _, count in found.skeletons.most_common()]
    bottom_left.loglog(range(1, len(counts) + 1), counts)
    bottom_left.set(title="skeletons", xlabel="rank", ylabel="share of the prompts")

    bottom_right.hist(found.nearest, bins=[step / 40 for step in range(41)])
    bottom_right.set(title=f"nearest neighbour of {len(found.nearest)} prompts", xlabel="Jaccard index of the words")

    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=120, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()
