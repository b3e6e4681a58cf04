"""`genir fetch`."""

from __future__ import annotations

import argparse
import json
import sys

from genir.cli import parser

_EXAMPLES = """\
examples:
  genir fetch configs/generate_sdxl.yaml --dry-run             which files, how large
  genir fetch configs/generate_sdxl.yaml configs/prepare_sdxl.yaml model.vae=madebyollin/sdxl-vae-fp16-fix
  HF_HUB_CACHE=/shared/hub genir fetch configs/generate_sdxl.yaml --json > fetched.json
On a machine with a network; compute nodes then run with the same HF_HUB_CACHE and HF_HUB_OFFLINE=1. What is there
is not fetched again. HF_TOKEN for gated models. Exit code 2 when something could not be fetched.
"""


def add(commands: parser.Commands[argparse.ArgumentParser]) -> None:
    """Add the command."""
    fetch = parser.command(
        commands,
        "fetch",
        _run,
        "the models that configs name, into the hub cache, for machines without network",
        _EXAMPLES,
    )
    # named as other commands' overrides, which may stand behind an option too
    fetch.add_argument("overrides", metavar="CONFIG.yaml", nargs="+", help="of any command; and key.path=value for all")
    fetch.add_argument("--json", action="store_true", help="one line of JSON for programs: commits, sizes, SHA-256")
    parser.add_dry_run(fetch, "fetched")


def _run(options: argparse.Namespace) -> int:
    from genir.errors import ConfigError, ModelError
    from genir.jobs.fetch import collect, fetch
    from genir.runs.summary import human_bytes

    overrides = [text for text in options.overrides if "=" in text]
    paths = [text for text in options.overrides if "=" not in text]
    if not paths:
        raise ConfigError("fetch: name a config file, such as configs/generate_sdxl.yaml")
    wanted = collect(paths, overrides)
    done, failed = [], []
    for named in wanted:
        try:
            done.append(fetch(named, options.dry_run))
        except ModelError as error:
            failed.append(str(error))
            continue
        if not options.json:
            print("\n".join(done[-1].lines()), flush=True)
    if options.json:
        print(json.dumps([fetched.facts() for fetched in done]))
    elif not wanted:
        print("nothing on a hub is named: all is local")
    elif done:
        new = [fetched for fetched in done if fetched.state != "there"]
        total = human_bytes(sum(sum(fetched.bytes.values()) for fetched in new))
        told = f"; {len(new)} {new[0].state}, {total}" if new else ""
        print(f"{len(done) - len(new)} of {len(wanted)} were there{told}")
    for line in failed:
        print(f"genir: {line}", file=sys.stderr)
    return 2 if failed else 0
