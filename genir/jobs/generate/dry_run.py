"""`genir generate --dry-run`: what would be made, without loading a weight or writing a byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genir import ranks, storage
from genir.backbone import tokenizers
from genir.jobs.generate.launch import Launch
from genir.runs.run import is_planned
from genir.runs.summary import human_bytes, summarise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genir.config.generate import Generate

SAMPLED_PROMPTS = 20_000  # of more prompts than this, so many are looked at, evenly spread
_AT_ONCE = 1000


def dry_run(config: Generate) -> Iterator[str]:
    """Lines for the user; raises GenirError for everything `generate` would refuse before it loads weights."""
    launch = Launch(config, ranks.worker())
    plan = launch.plan
    limited = plan.n_tasks if config.limit is None else min(config.limit, plan.n_tasks)
    sizes = " ".join(f"{height}x{width}" for height, width in launch.sizes)
    yield f"run        {launch.root}" + (" (exists: would resume)" if is_planned(launch.root) else "")
    yield f"model      {config.model.id}, dual prompt {config.dual or 'none'}"
    yield f"prompts    {plan.prompts.count} in {len(config.prompts)} files, {config.replicas} replicas"
    yield f"tasks      {limited} of {plan.n_tasks}, batches of {config.batch}, {sizes} pixels, {config.steps} steps"
    yield f"shards     {plan.shards_within(config.limit)} of {config.shard_size} tasks"
    if is_planned(launch.root):
        summary = summarise(launch.root)
        yield f"done       {summary.done} tasks in {summary.shards_done} shards, {summary.kept} kept"
    mean = sum(launch.image_bytes()) / len(launch.sizes)
    room = storage.free_bytes(launch.existing_folder())
    warning = "  NOT ENOUGH if most are kept" if mean * limited > room else ""
    yield f"disk       about {human_bytes(mean * limited)} if all are kept, {human_bytes(room)} free{warning}"
    yield f"truncated  {_truncated(launch)}"


def _truncated(launch: Launch) -> str:
    model, prompts = launch.config.model, launch.prompts
    loaded = tokenizers.load(model.id, revision=model.revision, variant=model.variant, config=model.config)
    count = min(prompts.count, SAMPLED_PROMPTS)
    cut, longest = 0, -1
    for first in range(0, count, _AT_ONCE):
        start = first * prompts.count // count
        texts = [prompt.text for prompt in prompts.read(start, start + min(_AT_ONCE, count - first))]
        for offset, is_cut in enumerate(loaded.truncated(texts, launch.dual)):
            cut += is_cut
            longest = start + offset if is_cut and longest < 0 else longest
    of = f"{count} prompts" + (f" sampled from {prompts.count}" if count < prompts.count else "")
    first_cut = f", the first is number {longest + 1}" if cut else ""
    return f"{cut} of {of} are longer than the text encoder reads{first_cut}"
