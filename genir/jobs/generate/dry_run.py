"""`genir generate --dry-run`: what would be made, without loading a weight or writing a byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genir import ranks, storage
from genir.jobs.generate.launch import Launch
from genir.runs.build import load_tokenizers
from genir.runs.mirror import viewed
from genir.runs.run import is_planned
from genir.runs.summary import describe, human_bytes, summarise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genir.config.generate import Generate

SAMPLED_PROMPTS = 20_000  # of more prompts than this, so many are looked at, evenly spread
_AT_ONCE = 1000


def dry_run(config: Generate) -> Iterator[str]:
    """Lines for the user; raises GenirError for everything `generate` would refuse before it loads weights."""
    with viewed(config.run) as mirror:
        yield from _lines(Launch(config, ranks.worker(), mirror))


def _lines(launch: Launch) -> Iterator[str]:
    config = launch.config
    launch.check()
    truncated = _truncated(launch)
    yield from launch.description()
    if is_planned(launch.root):
        yield f"done       {describe(summarise(launch.root))}"
    tasks = launch.plan.n_tasks if config.limit is None else min(config.limit, launch.plan.n_tasks)
    need = tasks * sum(launch.image_bytes()) / len(launch.sizes)
    room = storage.free_bytes(launch.existing_folder())
    warning = "  NOT ENOUGH if most are kept" if need > room else ""
    yield f"disk       about {human_bytes(need)} if all are kept, {human_bytes(room)} free{warning}"
    yield f"truncated  {truncated}"


def _truncated(launch: Launch) -> str:
    prompts = launch.prompts
    loaded = load_tokenizers(launch.config.model)
    count = min(prompts.count, SAMPLED_PROMPTS)
    cut, longest = 0, -1
    for first in range(0, count, _AT_ONCE):
        start = first * prompts.count // count
        texts = [prompt.text for prompt in prompts.read(start, start + min(_AT_ONCE, count - first))]
        for offset, is_cut in enumerate(loaded.truncated(texts, launch.dual)):
            cut += is_cut
            longest = start + offset if is_cut and longest < 0 else longest
    of = f"{count} prompts" + (f" sampled from {prompts.count}" if count < prompts.count else "")
    first_cut = f"; the first is prompt {longest + 1}" if cut else ""
    return f"{cut} of {of} are longer than the text encoder reads, their ends are ignored{first_cut}"
