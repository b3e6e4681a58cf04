"""`genir prepare`."""

from __future__ import annotations

import argparse

from genir import ranks
from genir.cli import parser


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    prepare = parser.command(commands, "prepare", _run, "photographs into a training set of clean pairs; resumes")
    parser.add_config(prepare, "configs/prepare_*.yaml", "images=photos batch=8")
    parser.add_dry_run(prepare, "made")


def _run(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.prepare import Prepare

    config = load(Prepare, options.config, options.overrides)
    if options.dry_run:
        from genir.jobs.prepare.launch import Launch

        launch = Launch(config, ranks.worker())
        launch.check()
        print("\n".join(launch.description()))
        return 0
    from genir.jobs.prepare import prepare

    return prepare(config)
