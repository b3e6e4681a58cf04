"""`genir utility`."""

from __future__ import annotations

import argparse

from genir.cli import parser

_EXAMPLES = """\
examples:
  genir utility configs/utility_small.yaml sets.plain=outputs/a sets.dual=outputs/b test.source=photos --dry-run
  genir utility configs/utility_small.yaml sets.a=outputs/a sets.b=outputs/b "compare=[[b, a]]" test.source=photos
A small x4 restorer is trained equally on equally many pictures of every set, and judged on photographs that nobody has
seen. Any number of processes may work in one folder; the same command resumes, more seeds and sizes are growth.
"""


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    utility = parser.command(
        commands, "utility", _run, "does training on these sets make a restorer better? table and plot", _EXAMPLES
    )
    parser.add_config(utility, "configs/utility_*.yaml", "sets.a=outputs/a test.source=photos seeds=5")
    parser.add_dry_run(utility, "trained")


def _run(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.utility import Utility

    config = load(Utility, options.config, options.overrides)
    if options.dry_run:
        from genir.jobs.utility import dry_run

        print("\n".join(dry_run(config)))
        return 0
    from genir.jobs.utility import utility

    code, table = utility(config)
    print(table, end="")
    return code
