"""Open a run directory, or refuse it: the plan is published once, later launches compare."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import platform
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from genir import __version__, storage
from genir.config.base import differences, digest
from genir.errors import PlanError
from genir.shards.files import ShardFiles

if TYPE_CHECKING:
    from pathlib import Path

    from genir.plan import Cut
    from genir.ranks import Worker
    from genir.records import Columns
    from genir.runs.mirror import Mirror

log = logging.getLogger("genir")

PLAN = "plan.json"
IMAGE = "image"  # the stage of generated images
FORMAT = 1  # of plan.json and the shards; a run of another format is refused
_BOUND = re.compile(r"gates\.([\w.]+\.)?(score_only|threshold|(min|max)(_\w+)?):")  # needs no score that is not there
_LIBRARIES = ("torch", "diffusers", "transformers", "accelerate", "numpy", "pillow", "pyarrow")


@dataclass(frozen=True)
class Run:
    """An open run directory."""

    root: Path
    plan: Cut[Any]
    columns: Columns
    digest: str
    worker: Worker
    mirror: Mirror | None = None
    """Of a run in an object store: `root` is its local folder."""
    stage: str = IMAGE
    """Folder of the shards."""

    def shard(self, shard: int) -> ShardFiles:
        """The files of a shard."""
        return ShardFiles.of(self.root / self.stage, shard, self.plan.n_shards)


def set_goal(run: Run, limit: int | None, kept: int | None) -> None:
    """Note what this launch is asked for, so that `genir status` knows when it is reached."""
    goal = _json({"limit": limit, "kept": kept})
    path = run.root / "goal.json"
    with storage.explained(path):
        if not path.exists() or path.read_bytes() != goal:
            storage.write(path, goal)


def is_planned(root: Path, document: str = PLAN) -> bool:
    """Was a plan published here before? Raises ShardError where that cannot be asked."""
    with storage.explained(root):
        return (root / document).exists()


def check_run(root: Path, meaning: dict[str, Any], document: str = PLAN) -> None:
    """Refuse a directory that holds something else, or a run with another meaning; writes nothing.

    Raises:
        PlanError: as `open_run` does.
    """
    with storage.explained(root):
        _refuse_foreign(root, document)
        if is_planned(root, document):
            _compare(root / document, meaning)


def open_run(
    root: Path,
    plan: Cut[Any],
    columns: Columns,
    meaning: dict[str, Any],
    config: dict[str, Any],
    env: dict[str, Any] | None,
    worker: Worker,
    mirror: Mirror | None = None,
    stage: str = IMAGE,
) -> Run:
    """Create the run directory, or resume the one that is there.

    Args:
        root: the run directory.
        plan: its tasks.
        columns: columns of its tables.
        meaning: all that makes two runs the same run; its digest is compared.
        config: the resolved configuration, for people.
        env: model files, licences and device, for people; None before the model is loaded leaves env.json alone.
        worker: who this process is.
        mirror: of a run in an object store, whose folder `root` is.
        stage: folder of its shards.

    Raises:
        PlanError: the directory holds something else, or a run with another meaning.
        ShardError: the directory cannot be written or has no file locks.
    """
    run = Run(root, plan, columns, run_digest(meaning), worker, mirror, stage)
    facts = {
        "stage": stage,
        "tasks": plan.n_tasks,
        "shards": plan.n_shards,
        "shard_size": plan.shard_size,
        "columns": columns,
    }
    publish_run(root, PLAN, facts, meaning, config, env, mirror)
    with storage.explained(root):
        (root / stage).mkdir(exist_ok=True)
    return run


def publish_run(
    root: Path,
    document: str,
    facts: dict[str, Any],
    meaning: dict[str, Any],
    config: dict[str, Any],
    env: dict[str, Any] | None,
    mirror: Mirror | None = None,
) -> None:
    """Create a directory whose `document` (plan.json, ...) says what is made in it, or compare with the one there.

    `facts` stand in the document beside digest and meaning; the other arguments and errors are those of `open_run`.
    """
    content = {"format": FORMAT, "digest": run_digest(meaning), **facts, "meaning": meaning}
    with storage.explained(root):
        check_run(root, meaning, document)
        root.mkdir(parents=True, exist_ok=True)
        storage.check_locks(root)
        if not storage.publish(root / document, _json(content)):
            _compare(root / document, meaning)
        if mirror is not None and not mirror.publish(document):
            _compare(root / document, meaning)
        storage.publish(root / "config.yaml", yaml.safe_dump(config, sort_keys=False).encode())
        if env is not None:
            here = {"versions": versions(), **env}
            if not storage.publish(root / "env.json", _json(here)):
                _note_changes(root, here)


def versions() -> dict[str, str]:
    """Versions of genir, Python and the libraries that decide the pixels."""
    found = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"genir": __version__, "python": platform.python_version(), **found}


def _json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=1) + "\n").encode()


def _refuse_foreign(root: Path, document: str) -> None:
    if root.exists() and not root.is_dir():
        raise PlanError(f"{root}: is a file, not a run directory; choose another one (run=...)")
    if not root.exists() or is_planned(root, document):
        return
    names = (path.name for path in root.iterdir())
    foreign = sorted(name for name in names if not name.startswith(".") and not name.endswith(".tmp"))
    if foreign and not is_planned(root, document):  # asked again: another worker may have published in between
        raise PlanError(f"{root}: holds {foreign[0]!r} but no run of this command; choose an empty directory (run=...)")


def run_digest(meaning: dict[str, Any]) -> str:
    """SHA-256 of what a run means."""
    return digest({"format": FORMAT, **meaning})


def _compare(document: Path, meaning: dict[str, Any]) -> None:
    root = document.parent
    try:
        there = json.loads(document.read_bytes())
        found, old = there["digest"], there["meaning"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise PlanError(f"{document}: cannot be read ({error!r}); choose another run directory (run=...)") from None
    if found == run_digest(meaning):
        return
    changed = list(dict.fromkeys(_readable(line) for line in differences(old, json.loads(json.dumps(meaning)))))
    advice = "choose another run directory (run=...), or undo the change to resume this one"
    if changed and all(_BOUND.match(line) for line in changed):
        advice = f"every score is stored: genir select {root} gates.... applies other thresholds; or run=..."
    shown = "; ".join(changed[:6]) + (f"; and {len(changed) - 6} more" if len(changed) > 6 else "")
    raise PlanError(f"{root}: is another run: {shown or 'made by another format of genir'}; {advice}")


def _readable(line: str) -> str:
    """Hashes tell a person nothing."""
    key = line.partition(":")[0]
    if key.startswith("model.files"):
        return "model: other files"
    hashed = key in ("prompts", "dual", "data.files", "validation.prompts", "start") or key.startswith("gates.weights")
    return f"{key}: other content" if hashed else line


def _note_changes(root: Path, here: dict[str, Any]) -> None:
    """Other libraries or hardware than the first launch's may change bytes: say so, once, in env.json too."""
    path = root / "env.json"
    there = json.loads(path.read_bytes())
    known = [{key: there.get(key) for key in here}, *there.get("later_launches", [])]
    if any(differences(old, here) == [] for old in known):
        return
    changed = differences(known[0], here)
    log.warning("%s: not what the run began with, bytes may differ from here on: %s", path.name, "; ".join(changed))
    there.setdefault("later_launches", []).append(here)
    storage.write(path, _json(there))
