"""The command line: `genir COMMAND CONFIG.yaml [key.path=value ...]`.

Exit codes: 0 done, 2 user error (one line on stderr), 75 stopped early, run the same command again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence

from genir import __version__, ranks
from genir.errors import ConfigError, GenirError, StoreError
from genir.jobs.prompts import commands as prompts

EXIT_USER_ERROR = 2

_DESCRIPTION = "Mass-generate clean, measured training images for image restoration."
_EPILOG = """\
examples:
  genir quickstart                                        everything once, on the small model that travels with genir
  genir generate configs/generate_embedded.yaml --dry-run what would be made
  genir generate configs/generate_sdxl.yaml run=outputs/a limit=1000
  genir prepare configs/prepare_sdxl.yaml images=photos run=outputs/set    pairs for learning a dual prompt
  genir learn configs/learn_sdxl.yaml data.folder=outputs/set run=outputs/dual
  torchrun --standalone --nproc_per_node 8 -m genir generate configs/generate_sdxl.yaml
The same command resumes, on any number of workers. Exit codes: 0 done, 2 user error, 75 stopped
early: run it again, 130 interrupted twice.
"""

_DEGRADE = """\
examples:
  genir degrade configs/degrade_realesrgan.yaml input=outputs/castles run=outputs/castles_x4
  genir degrade configs/degrade_dreamclear.yaml input=photos degradation.crop=512 epochs=4 store.sr_bicubic=true
  genir degrade configs/degrade_realesrgan.yaml input=outputs/a degradation=bsrgan degradation.scale=2
  genir degrade configs/degrade_realesrgan.yaml "input={castles: outputs/castles, own: photos}"
  torchrun --standalone --nproc_per_node 2 -m genir degrade configs/degrade_realesrgan.yaml input=outputs/castles
  genir degrade configs/degrade_dreamclear.yaml input=DIV2K_valid_HR run=outputs/div2k --protocol dreamclear
  genir degrade configs/degrade_dreamclear.yaml input=DIV2K_valid_HR run=outputs/again --protocol published.jsonl
Degradations: bicubic light bsrgan realesrgan seesr dreamclear, or a .yaml file of blocks. Inputs: a genir run
(its kept images; it may still grow), RUN#SELECTION, a folder of photographs, tars, or several.
"""

_EXPORT = """\
examples:
  genir export configs/export_basicsr.yaml input=outputs/pairs out=datasets/castles
  genir export configs/export_basicsr.yaml input=outputs/pairs out=datasets/castles.lmdb format=lmdb
  genir export configs/export_basicsr.yaml input=outputs/castles out=datasets/subs format=realesrgan tile.size=480
  genir export configs/export_dreamclear.yaml input=outputs/pairs out=datasets/dc t5.id=google/t5-v1_1-xxl
  genir export configs/export_huggingface.yaml input=outputs/castles out=datasets/hub split.val=0.01
Formats: basicsr (also neosr, traiNNer-redux), realesrgan, lmdb, seesr, dreamclear, paths (OSEDiff, DiffBIR), jodi,
webdataset, imagefolder, parquet. Input: a run of images or of pairs; it may still grow.
"""

_STATUS = """\
examples:
  genir status outputs/a                          done, kept and rejected, each worker's rate, time left
  genir status outputs/a --watch 60               again every minute, until nothing is left to do
  genir status outputs/a --json                   for programs
Exit codes: 0 the latest launch's limit and target are reached, 75 work remains, 2 all is done, but fewer
images are kept than target.kept asks for, or the rest is quarantined (or no run there).
"""

_SCORE = """\
examples:
  genir score configs/score_photographs.yaml source=photos run=outputs/photos     your own photographs; then select
  genir score configs/score_duplicates.yaml source=outputs/a                      into the run: outputs/a/score_hash/
  genir score configs/score_photographs.yaml source=outputs/a name=niqe gates=score_only
  torchrun --standalone --nproc_per_node 2 -m genir score configs/score_photographs.yaml source=tars run=outputs/t
Sources: a genir run (its kept images; it may still grow), RUN#SELECTION, a folder of photographs, tars, or several.
One row a picture, also of those that cannot be read; `genir select` applies other thresholds later.
"""

_CALIBRATE = """\
examples:
  genir calibrate configs/calibrate_photographs.yaml reference=photos run=outputs/calibration
  genir calibrate configs/calibrate_photographs.yaml reference=photos negatives=[bad, outputs/pilot] reject=0.02
  genir calibrate configs/calibrate_photographs.yaml reference=outputs/photos negatives=outputs/bad   stored scores
  genir generate configs/generate_sdxl.yaml gates=outputs/calibration/gates.yaml
Sets all thresholds of `checks` at once: together they reject the chosen share of the reference. Prints what they
hit of the negatives; writes gates.yaml, scores.parquet and roc.png (pip install 'genir[plot]').
"""

_SELECT = """\
examples:
  genir select outputs/a name=strict gates.quality.piqe.max=40 gates.face.threshold=0.2
  genir select outputs/a name=mine gates=outputs/calibration/gates.yaml     thresholds of genir calibrate
  genir select outputs/a name=loose gates.signal=null duplicates=null
  genir degrade configs/degrade_realesrgan.yaml input=outputs/a#strict      pairs of what was selected
Thresholds begin as the run's own; every override changes one. Writes outputs/a/selections/NAME.parquet (key,
verdict, reason); no image is touched. Of equal images, and of images from equal noise, the first stays.
"""

_VERIFY = """\
examples:
  genir verify outputs/a                          planned = kept + rejected + errors, nothing twice or missing
  genir verify outputs/a --repair                 bad shards: only batches that cannot be saved are made again
  genir verify outputs/a --repair prompts=/new/place/bank.jsonl device=cuda:1
  genir verify outputs/a --privacy sample=500 controls=people     sheets and a table to fill in (75), then the bound
  genir verify outputs/a --privacy sample=500 controls=people auditor='Ada Lovelace'
Exit codes: 0 proven, 75 proven, but not all that was asked for is made yet, 2 something is bad.
"""
_REPORT = """\
examples:
  genir report outputs/a                          writes outputs/a/report.html: counts, scores, gallery, environment
  genir report outputs/a --images 1000 --out /tmp/a.html
Takes the run directory of generate, degrade, prepare or learn, at any time. The page is one file that needs
no server and no network.
"""
_REGENERATE = """\
examples:
  genir regenerate outputs/a --key 000000385      its whole frozen batch again; writes outputs/a/regenerated/
  genir regenerate outputs/a --key 000000385 device=cpu
  genir regenerate outputs/a --selection loose    what it keeps although the run had rejected it
On the run's hardware and libraries the pixels and bytes must be equal (exit code 2 if not); elsewhere
the PSNR to the stored image is shown. Rejected images can be had back so, except those with a face.
"""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    options = _parse(arguments)
    for library in (
        "TRANSFORMERS_VERBOSITY",
        "DIFFUSERS_VERBOSITY",
        "HF_HUB_VERBOSITY",
    ):  # their notices are not about the user's job
        os.environ.setdefault(library, "error")
    rank = f"[{os.environ['RANK']}] " if "RANK" in os.environ else ""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format=f"%(asctime)s {rank}%(message)s", datefmt="%H:%M:%S"
    )
    for library in ("httpx", "botocore", "aiobotocore"):
        logging.getLogger(library).setLevel(logging.WARNING)
    try:
        return options.command(options)
    except GenirError as error:
        logging.getLogger("genir").debug("", exc_info=True)
        ranks.tell_launcher(f"genir: {error}")
        for line in str(error).splitlines():  # a config may hold several mistakes
            print(f"genir: {line}", file=sys.stderr)  # noqa: T201
        return ranks.worker().stopped_exit_code if isinstance(error, StoreError) else EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("genir: interrupted", file=sys.stderr)  # noqa: T201
        return 130
    except BrokenPipeError:  # the reader of our output (head, less) is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and ("overrides" not in options or any(text.startswith("-") for text in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:  # argparse ends the list of overrides at an option: `CONFIG.yaml --dry-run steps=20`
        options.overrides += rest
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="genir", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"genir {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    generate = _command(commands, "generate", _generate, "make, gate and store images; resumes")
    generate.add_argument("config", metavar="CONFIG.yaml", help="configs/generate_*.yaml, or your own")
    generate.add_argument(
        "overrides", metavar="key.path=value", nargs="*", help="for example steps=20 model.dtype=bfloat16"
    )
    generate.add_argument(
        "--part",
        metavar="I/N",
        type=_part,
        help="be part I (from 0) of N launches of one run, where it lies in an object store",
    )
    generate.add_argument("--dry-run", action="store_true", help="say what would be made, and stop")
    learn = _command(commands, "learn", _learn, "learn a positive and a negative prompt; resumes")
    learn.add_argument("config", metavar="CONFIG.yaml", help="configs/learn_*.yaml, or your own")
    learn.add_argument("overrides", metavar="key.path=value", nargs="*", help="for example data.folder=outputs/set")
    learn.add_argument("--from", dest="source", metavar="FILE", help="go on from this dual prompt, not from words")
    learn.add_argument("--dry-run", action="store_true", help="check everything, say what would be learned, and stop")
    export = _command(commands, "export-dual", _export_dual, "a learned pair as files for ComfyUI, A1111 and diffusers")
    export.add_argument("file", metavar="FILE", help="dual prompt")
    export.add_argument("folder", metavar="FOLDER", help="where the files go")
    export.add_argument("--name", default="genir", help="what prompts call the pair (genir)")
    prompts.add(commands)
    prepare = _command(commands, "prepare", _prepare, "photographs into a training set of clean pairs; resumes")
    prepare.add_argument("config", metavar="CONFIG.yaml", help="configs/prepare_*.yaml, or your own")
    prepare.add_argument("overrides", metavar="key.path=value", nargs="*", help="for example images=photos batch=8")
    prepare.add_argument("--dry-run", action="store_true", help="say what would be made, and stop")
    degrade = _command(commands, "degrade", _degrade, "HQ pictures into HQ-LQ pairs; resumes", _DEGRADE)
    degrade.add_argument("config", metavar="CONFIG.yaml", help="configs/degrade_*.yaml, or your own")
    degrade.add_argument("overrides", metavar="key.path=value", nargs="*", help="for example input=outputs/a epochs=4")
    degrade.add_argument("--protocol", metavar="NAME", help="test pairs to publish: dreamclear, or a manifest")
    degrade.add_argument("--dry-run", action="store_true", help="say what would be made, and stop")
    files = _command(commands, "export", _export, "a run as the files that a trainer reads; resumes", _EXPORT)
    files.add_argument("config", metavar="CONFIG.yaml", help="configs/export_*.yaml, or your own")
    files.add_argument("overrides", metavar="key.path=value", nargs="*", help="for example input=outputs/a out=data/a")
    files.add_argument("--dry-run", action="store_true", help="say what would be written, and stop")
    status = _command(commands, "status", _status, "how far a run is; exit code 75 while work remains", _STATUS)
    status.add_argument("run", metavar="RUN", help="run directory")
    status.add_argument("--json", action="store_true", help="one line of JSON for programs")
    status.add_argument(
        "--watch",
        metavar="SECONDS",
        type=_seconds,
        nargs="?",
        const=10.0,
        help="look again every so often (10), until nothing is left to do",
    )
    score = _command(commands, "score", _score, "any gate or metric over pictures that are there; resumes", _SCORE)
    score.add_argument("config", metavar="CONFIG.yaml", help="configs/score_*.yaml, or your own")
    score.add_argument("overrides", metavar="key.path=value", nargs="*", help="for example source=photos run=outputs/p")
    score.add_argument("--dry-run", action="store_true", help="say what would be measured, and stop")
    calibrate = _command(commands, "calibrate", _calibrate, "thresholds at a share of rejected real HQ", _CALIBRATE)
    calibrate.add_argument("config", metavar="CONFIG.yaml", help="configs/calibrate_*.yaml, or your own")
    calibrate.add_argument("overrides", metavar="key.path=value", nargs="*", help="for example reference=photos")
    select = _command(commands, "select", _select, "other thresholds over the stored scores of a run", _SELECT)
    select.add_argument("run", metavar="RUN", help="run directory")
    select.add_argument("overrides", metavar="key.path=value", nargs="*", help="such as gates.quality.piqe.max=40")
    verify = _command(commands, "verify", _verify, "prove that a run is whole: every hash, row and image", _VERIFY)
    verify.add_argument("run", metavar="RUN", help="run directory")
    what = verify.add_mutually_exclusive_group()
    what.add_argument("--repair", action="store_true", help="make again what is bad; old files are kept as .bad")
    what.add_argument("--privacy", action="store_true", help="audit a random sample of the kept images for people")
    verify.add_argument("overrides", metavar="key.path=value", nargs="*", help="such as device=cpu, sample=500")
    regenerate = _command(
        commands, "regenerate", _regenerate, "make one image of a run again, and compare it", _REGENERATE
    )
    regenerate.add_argument("run", metavar="RUN", help="run directory")
    which = regenerate.add_mutually_exclusive_group(required=True)
    which.add_argument("--key", help="of the image, nine digits")
    which.add_argument("--selection", metavar="NAME", help="all that it keeps although no pixels are stored")
    regenerate.add_argument("overrides", metavar="key.path=value", nargs="*", help="such as device=cpu")
    report = _command(commands, "report", _report, "one HTML page about a run: counts, scores, pictures", _REPORT)
    report.add_argument("run", metavar="RUN", help="run directory")
    report.add_argument("--out", metavar="FILE", help="page to write (RUN/report.html)")
    report.add_argument("--images", metavar="N", type=_count, default=240, help="pictures in the gallery at most (240)")
    quickstart = _command(commands, "quickstart", _quickstart, "everything once, on the embedded model")
    quickstart.add_argument("run", metavar="RUN", nargs="?", default="outputs/quickstart", help="run directory")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: Callable[[argparse.Namespace], int],
    text: str,
    epilog: str | None = None,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    return parser


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 1e6:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r}: expected seconds, for example 60")


def _count(text: str) -> int:
    if text.isdecimal() and 0 < int(text) <= 5000:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}: expected a number from 1 to 5000")


def _part(text: str) -> ranks.Part:
    index, _, count = text.partition("/")
    if index.isdecimal() and count.isdecimal() and int(index) < int(count):
        return ranks.Part(int(index), int(count))
    raise argparse.ArgumentTypeError(f"{text!r}: expected I/N; of 4 parts the first is 0/4, the last 3/4")


def _generate(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.generate import Generate

    config = load(Generate, options.config, options.overrides)
    if options.dry_run:
        from genir.jobs.generate.dry_run import dry_run

        for line in dry_run(config):
            print(line)  # noqa: T201
        return 0
    from genir.jobs.generate import generate

    return generate(config, options.part)


def _prepare(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.prepare import Prepare

    config = load(Prepare, options.config, options.overrides)
    if options.dry_run:
        from genir.jobs.prepare.launch import Launch

        launch = Launch(config, ranks.worker())
        launch.check()
        print("\n".join(launch.description()))  # noqa: T201
        return 0
    from genir.jobs.prepare import prepare

    return prepare(config)


def _learn(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.learn import Learn

    config = load(Learn, options.config, options.overrides)
    if options.dry_run:
        from genir.jobs.learn.launch import Launch

        launch = Launch(config, options.source)
        launch.check()
        print("\n".join(launch.description()))  # noqa: T201
        return 0
    from genir.jobs.learn import learn

    return learn(config, options.source)


def _export_dual(options: argparse.Namespace) -> int:
    from genir.jobs.export_dual import export_dual

    print("\n".join(export_dual(options.file, options.folder, options.name)))  # noqa: T201
    return 0


def _degrade(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.degrade import Degrade

    config = load(Degrade, options.config, options.overrides)
    if options.dry_run:
        from genir.jobs.degrade import dry_run

        for line in dry_run(config, options.protocol):
            print(line)  # noqa: T201
        return 0
    from genir.jobs.degrade import degrade

    return degrade(config, options.protocol)


def _score(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.score import Score

    config = load(Score, options.config, options.overrides)
    if options.dry_run:
        from genir.jobs.score import dry_run

        print("\n".join(dry_run(config)))  # noqa: T201
        return 0
    from genir.jobs.score import score

    return score(config)


def _export(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.export import Export

    config = load(Export, options.config, options.overrides)
    if options.dry_run:
        from genir.jobs.export import dry_run

        print("\n".join(dry_run(config)))  # noqa: T201
        return 0
    from genir.jobs.export import export

    return export(config)


def _calibrate(options: argparse.Namespace) -> int:
    from genir.config.base import load
    from genir.config.calibrate import Calibrate
    from genir.jobs.calibrate import calibrate

    for line in calibrate(load(Calibrate, options.config, options.overrides)):
        print(line, flush=True)  # noqa: T201
    return 0


def _status(options: argparse.Namespace) -> int:
    from genir.jobs.status import status

    while True:
        found = status(options.run)
        if options.watch is not None and not options.json and sys.stdout.isatty():
            print("\033[H\033[2J", end="")  # noqa: T201 - the screen is cleared
        print(json.dumps(found.facts()) if options.json else "\n".join(found.lines()), flush=True)  # noqa: T201
        if options.watch is None or found.code != ranks.EXIT_AGAIN:
            return found.code
        time.sleep(options.watch)


def _verify(options: argparse.Namespace) -> int:
    if options.privacy:
        from genir.jobs.verify.privacy import privacy

        code, lines = privacy(options.run, options.overrides)
        print("\n".join(lines))  # noqa: T201
        return code
    from genir.jobs.verify import verify

    if options.overrides and not options.repair:
        raise ConfigError(f"verify: {options.overrides[0]!r} has a meaning only with --repair; leave it out")
    found = verify(options.run)
    print("\n".join(found.lines()), flush=True)  # noqa: T201
    if options.repair and found.bad:
        from genir.jobs.generate.repair import repair

        repair(options.run, found.bad, options.overrides)
        found = verify(options.run)
        print("\n".join(found.lines()))  # noqa: T201
    return found.code


def _regenerate(options: argparse.Namespace) -> int:
    from genir.jobs.generate.regenerate import regenerate, regenerate_selection

    make = regenerate if options.selection is None else regenerate_selection
    for line in make(options.run, options.selection or options.key, options.overrides):
        print(line, flush=True)  # noqa: T201
    return 0


def _report(options: argparse.Namespace) -> int:
    from genir.jobs.report import report

    print(report(options.run, options.out, options.images))  # noqa: T201
    return 0


def _select(options: argparse.Namespace) -> int:
    from genir.jobs.select import select

    print("\n".join(select(options.run, options.overrides)))  # noqa: T201
    return 0


def _quickstart(options: argparse.Namespace) -> int:
    from genir.quickstart import quickstart

    return quickstart(options.run)
