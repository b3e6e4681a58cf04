"""A million prompts composed, screened and freed of near-duplicates, and what the screen finds on labelled lines.

    python tests/bench/prompts.py [--quick]

Wall time of the three commands as a user runs them, start-up and files included, one after the other; they are run
twice and must give equal bytes. Memory is the largest resident set of any of them. `--quick` makes 100,000 prompts
and extrapolates time and memory to a million.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from promptbank import labelled  # noqa: E402

from genir.jobs.prompts import stats  # noqa: E402
from genir.promptbank.screen import Screen  # noqa: E402

MILLION = 1_000_000


def genir(folder, *arguments):
    """Wall seconds, processor seconds and peak MB of one command."""
    process = subprocess.Popen(
        [sys.executable, "-m", "genir", "prompts", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    begin = time.monotonic()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


def bank(folder, count):
    """Make one bank; the costs by command."""
    folder.mkdir()
    compose = ("compose", "configs/prompts_compose.yaml", f"count={count}", "out=a.jsonl")
    return {
        "compose": genir(folder, *compose),
        "screen": genir(folder, "screen", "a.jsonl", "-o", "b.jsonl"),
        "dedupe": genir(folder, "dedupe", "b.jsonl", "-o", "c.jsonl"),
    }


def digests(folder):
    found = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="100,000 prompts, extrapolated")
    quick = parser.parse_args().quick
    count = MILLION // 10 if quick else MILLION
    figures = {}

    screen = Screen()
    for name, lines in (
        ("", labelled.lines()),
        ("_held_out", [line for line in labelled.lines() if line.held_out]),
    ):
        recall, low, precision, wrong, missed = labelled.judged(screen, lines)
        print(
            f"screen{name or ', both lists'}: {len(lines)} lines, recall {recall:.4f} (at least {low:.4f} with 95 % "
            f"confidence, {len(missed)} missed), precision {precision:.4f} ({len(wrong)} wrongly removed)"
        )
        figures[f"screen_recall{name}"] = round(recall, 4)
        figures[f"screen_recall{name}_low"] = round(low, 4)
        figures[f"screen_precision{name}"] = round(precision, 4)

    with tempfile.TemporaryDirectory() as name:
        one, two = Path(name, "one"), Path(name, "two")
        small = bank(Path(name, "small"), 1000)
        costs = bank(one, count)
        bank(two, count)
        equal = digests(one) == digests(two)
        found = stats.measure([str(one / "c.jsonl")], None)
    print(f"\n{count} prompts{'':<12}{'seconds':>9}{'CPU s':>9}{'peak MB':>9}")
    for command, (seconds, cpu, peak) in costs.items():
        print(f"  {command:<22}{seconds:>9.1f}{cpu:>9.1f}{peak:>9.0f}")
    print(f"equal bytes on a second run: {equal}; {found.prompts / count:.2%} of the composed prompts stay\n")
    print("\n".join(stats.lines(found)))

    scale = MILLION / count
    base = max(peak for _, _, peak in small.values())
    figures |= {
        "seconds_per_million": round(scale * sum(seconds for seconds, _, _ in costs.values()), 1),
        "cpu_seconds_per_million": round(scale * sum(cpu for _, cpu, _ in costs.values()), 1),
        "peak_mb": round(base + scale * (max(peak for _, _, peak in costs.values()) - base)),
        "largest_skeleton_share": round(found.largest_skeleton_share, 6),
        "yield": round(found.prompts / count, 4),
        "equal_bytes": equal,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
