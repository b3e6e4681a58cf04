"""`genir export`: a run's images or pairs as the files that a trainer reads; the same command resumes."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from typing import TYPE_CHECKING

from genir import ranks
from genir.errors import ShardError, Stopped
from genir.jobs.export.folder import Unit
from genir.jobs.export.launch import Launch
from genir.runs.meter import Meter

if TYPE_CHECKING:
    from genir.config.export import Export
    from genir.exporters.entry import Entry
    from genir.exporters.format import Add

    Entries = list[Entry]
    """All of one sample of the run."""
    Made = list[tuple[Entry, dict[str, bytes]]]

log = logging.getLogger("genir")
SETTLE_SECONDS = 20  # between two waits for the disk; a kill costs so much work at most


def export(config: Export) -> int:
    """Write what is not written yet, then the lists.

    Returns:
        The exit code: 0 when the export is whole, else the launcher's code for "run again".

    Raises:
        GenirError: anything a user can mend.
    """
    stop, launch = ranks.StopSignal(), Launch(config)
    launch.check()
    for line in launch.description():
        log.info("%s", line)
    with launch.folder.opened(launch.meaning()):
        left = [unit for unit in launch.units if not launch.folder.is_done(unit)]
        try:
            _write(launch, left, stop)
        except Stopped:
            log.info("stopped by %s; the same command goes on from here", stop.name)
            return ranks.worker().stopped_exit_code
        counts = _finish(launch)
    if launch.run.without_pixels:
        count = len(launch.run.without_pixels)
        log.warning("%d selected images are left out: no pixels are stored; genir regenerate makes them again", count)
    if launch.run.without_caption:
        facts = (len(launch.run.without_caption), ", ".join(launch.run.captioners))
        log.warning("%d images are left out: they lack a caption of one of %s, and a reader fails on that", *facts)
    told = ", ".join(f"{count} {split or 'samples'}" for split, count in counts.items())
    log.info("%s: %s", launch.folder.out, told or "no samples: the input keeps nothing that is taken")
    return 0


def dry_run(config: Export) -> list[str]:
    """Lines for the user; raises GenirError for everything that `export` would refuse."""
    launch = Launch(config)
    launch.check()
    return launch.description()


def _write(launch: Launch, units: list[Unit], stop: ranks.StopSignal) -> None:
    """Export the units; raises Stopped between two samples."""
    if not units:
        return
    launch.load()
    settled, written, samples = 0.0, list[Unit](), 0
    total = sum(shard.take or shard.marker.kept for unit in units for shard in unit.shards)
    with Meter(total, "sample") as meter, ThreadPoolExecutor(launch.config.threads) as pool:
        for number, unit in enumerate(units, 1):
            with launch.format.unit(unit.name) as add:
                for _ in _fill(launch, unit, add, pool):
                    samples += 1
                    meter(samples, f"{number} of {len(units)} parts")
                    if stop():
                        launch.folder.mark(written)
                        raise Stopped
            written.append(unit)
            if time.monotonic() - settled > SETTLE_SECONDS or unit is units[-1]:
                launch.folder.mark(written)
                settled, written = time.monotonic(), []


def _fill(launch: Launch, unit: Unit, add: Add, pool: ThreadPoolExecutor) -> Iterator[None]:
    """Add everything of a unit; yields after every picture of the run."""
    ordered = launch.format.ordered

    def make(entries: Entries) -> Made:
        files = launch.run.files(entries[0].stored)
        made: Made = []
        try:
            for entry, pictures in launch.cutter(entries, files):
                if ordered:
                    made.append((entry, files | pictures))
                else:
                    add(entry, files | pictures)
        except (OSError, SyntaxError) as error:  # Pillow's, of a broken file
            raise ShardError(
                f"{launch.run.root}: {entries[0].stored.member}: {error}; genir verify tells more"
            ) from None
        return made

    samples = (list(entries) for _, entries in groupby(launch.entries(unit), lambda entry: entry.stored))
    for made in _ahead(pool, make, samples, 2 * launch.config.threads):
        for entry, pictures in made:
            add(entry, pictures)
        yield


def _ahead(
    pool: ThreadPoolExecutor, work: Callable[[Entries], Made], samples: Iterable[Entries], count: int
) -> Iterator[Made]:
    """What becomes of the samples, in order; at most `count` of them are under way."""
    waiting: deque[Future[Made]] = deque()
    for entries in samples:
        waiting.append(pool.submit(work, entries))
        if len(waiting) > count:
            yield waiting.popleft().result()
    for future in waiting:
        yield future.result()


def _finish(launch: Launch) -> Counter[str]:
    """Write the lists; returns the samples of each split."""
    counts = Counter[str]()

    def counted() -> Iterator[Entry]:
        for unit in launch.units:
            for entry in launch.entries(unit):
                counts[entry.split] += 1
                yield entry

    entries = counted()
    launch.format.finish(entries)
    deque(entries, maxlen=0)  # of a format without lists
    launch.folder.finish(launch.meaning(), counts)
    return counts
