"""`genir verify`."""

from __future__ import annotations

import argparse

from genir.cli import parser
from genir.errors import ConfigError

_EXAMPLES = """\
examples:
  genir verify outputs/a                          planned = kept + rejected + errors, nothing twice or missing
  genir verify outputs/a --repair                 bad shards: only batches that cannot be saved are made again
  genir verify outputs/a --repair prompts=/new/place/bank.jsonl device=cuda:1
  genir verify outputs/a --privacy sample=500 controls=people     sheets and a table to fill in (75), then the bound
  genir verify outputs/a --privacy sample=500 controls=people auditor='Ada Lovelace'
  genir verify outputs/a --copies photos          are kept images copies of these?
Exit codes: 0 proven, 75 proven, but not all that was asked for is made yet, 2 something is bad.
"""


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    verify = parser.command(commands, "verify", _run, "prove that a run is whole: every hash, row and image", _EXAMPLES)
    parser.add_run(verify)
    what = verify.add_mutually_exclusive_group()
    what.add_argument("--repair", action="store_true", help="make again what is bad; old files are kept as .bad")
    what.add_argument("--privacy", action="store_true", help="audit a random sample of the kept images for people")
    what.add_argument("--copies", metavar="DIR", help="look for copies of these pictures among the kept images")
    verify.add_argument("overrides", metavar="key.path=value", nargs="*", help="such as device=cpu, sample=500")


def _run(options: argparse.Namespace) -> int:
    if options.privacy:
        from genir.jobs.verify.privacy import privacy

        code, lines = privacy(options.run, options.overrides)
        print("\n".join(lines))
        return code
    if options.copies:
        from genir.jobs.verify.copies import copies

        for line in copies(options.run, options.copies, options.overrides):
            print(line, flush=True)
        return 0
    from genir.jobs.verify import verify

    if options.overrides and not options.repair:
        raise ConfigError(f"verify: {options.overrides[0]!r} has a meaning only with --repair; leave it out")
    found = verify(options.run)
    print("\n".join(found.lines()), flush=True)
    if options.repair and found.bad:
        from genir.jobs.generate.repair import repair

        repair(options.run, found.bad, options.overrides)
        found = verify(options.run)
        print("\n".join(found.lines()))
    return found.code
