"""`genir learn`."""

from __future__ import annotations

import argparse

from genir.cli import parser


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    learn = parser.command(commands, "learn", _run, "learn a positive and a negative prompt; resumes")
    parser.add_config(learn, "configs/learn_*.yaml", "data.folder=outputs/set")
    learn.add_argument(
        "--from", dest="source", metavar="FILE", help="go on from this dual prompt (or `embedded`), not from words"
    )
    learn.add_argument("--dry-run", action="store_true", help="check everything, say what would be learned, and stop")


def _run(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.learn import Learn

    config = load(Learn, options.config, options.overrides)
    if options.dry_run:
        from genir.jobs.learn.launch import Launch

        launch = Launch(config, options.source)
        launch.check()
        print("\n".join(launch.description()))
        return 0
    from genir.jobs.learn import learn

    return learn(config, options.source)
