"""`genir prompts stats`: what is in a bank, in lines, as JSON or as a page of plots."""

from __future__ import annotations

from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from genir.errors import PromptError
from genir.jobs.prompts.output import prompt_files, refuse_existing, writing
from genir.promptbank.plot import page
from genir.promptbank.stats import TOP, Stats, stats

if TYPE_CHECKING:
    from collections.abc import Sequence

_KINDS = (".png", ".svg", ".pdf")


def measure(names: Sequence[str], plot: str | None) -> Stats:
    """Read the files and draw the page, if one is asked for.

    Raises:
        PromptError: an unusable record, or a plot file that is there already.
        ExtraError: matplotlib is not installed.
    """
    path = None if plot is None else Path(plot).expanduser()
    if path is not None:
        if path.suffix not in _KINDS:
            raise PromptError(f"{plot}: a plot ends in one of {', '.join(_KINDS)}")
        refuse_existing(path)
        page(Stats(prompts=1), path.suffix[1:])  # a missing library is told before the bank is read
    found = stats(prompt_files(names))
    if path is not None:
        with writing(path) as file:
            file.write(page(found, path.suffix[1:]))
    return found


def facts(found: Stats) -> dict[str, Any]:
    """For programs."""
    return {
        "prompts": found.prompts,
        "sha256": found.sha256,
        "words": found.words,
        "categories": dict(found.categories.most_common()),
        "length": {name: found.length(q) for name, q in (("min", 0.0), ("median", 0.5), ("max", 1.0))},
        "skeletons": len(found.skeletons),
        "largest_skeleton_share": found.largest_skeleton_share,
        "nearest": {"median": median(found.nearest), "max": max(found.nearest)},
    }


def lines(found: Stats) -> list[str]:
    """For people."""
    shares = [(count / found.prompts, text) for text, count in found.skeletons.most_common(TOP)]
    ninth = quantiles(found.nearest, n=10)[-1] if len(found.nearest) > 1 else found.nearest[0]
    nearest = f"median {median(found.nearest):.2f}, 90 % below {ninth:.2f}, largest {max(found.nearest):.2f}"
    return [
        f"prompts      {found.prompts}, {found.words} different words, sha256 of the texts {found.sha256[:16]}",
        f"length       {found.length(0)} to {found.length(1)} words, median {found.length(0.5)}",
        f"nearest      Jaccard index of {len(found.nearest)} prompts to their nearest: {nearest}",
        f"skeletons    {len(found.skeletons)}; the most frequent:",
        *(f"  {share:8.3%}  {text}" for share, text in shares),
        f"categories   {len(found.categories)}",
        *(f"  {count / found.prompts:8.2%}  {name or '(none)'}" for name, count in found.categories.most_common()),
    ]
