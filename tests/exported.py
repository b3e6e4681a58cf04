"""Runs to export, made once a session, and the command."""

import json
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
from processes import forked
from readers import pixels

from genir.config.base import load
from genir.config.degrade import Degrade
from genir.config.export import Export
from genir.jobs.export import export

SIZE = (96, 128)


def make_images(root):
    """40 tasks in 5 shards; a third is rejected."""
    code, _ = forked(root, prompts=20, replicas=2, shard_size=8, batch=4, sizes=[list(SIZE)])
    assert code == 0
    return root


def make_pairs(images, root, *overrides):
    from genir.jobs.degrade import degrade

    changes = [f"input={json.dumps(str(images))}", f"run={root}", "device=cpu", "degradation=light", *overrides]
    assert degrade(load(Degrade, "configs/degrade_realesrgan.yaml", changes)) == 0
    return root


def stored(root, stage):
    """Sample name -> ending -> content, of all tars."""
    found = {}
    for path in sorted((root / stage).glob("*.tar")):
        with tarfile.open(path) as tar:
            for info in tar:
                name, _, ending = info.name.partition(".")
                found.setdefault(name, {})[ending] = tar.extractfile(info).read()
    return found


def rows(root, stage):
    return [row for path in sorted((root / stage).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def pictures(root, stage):
    """Sample name -> (HQ, LQ or None)."""
    found = stored(root, stage)
    if stage == "image":
        return {name: (pixels(files["png"]), None) for name, files in found.items()}
    return {name: (pixels(files["hq.png"]), pixels(files["lq.png"])) for name, files in found.items()}


def config(source, out, name, *overrides):
    changes = [f"input={json.dumps(str(source))}", f"out={json.dumps(str(out))}", f"format={name}", *overrides]
    return load(Export, "configs/export_basicsr.yaml", changes)


def exported(source, out, name, *overrides):
    assert export(config(source, out, name, *overrides)) == 0
    return Path(out)


def tree(root):
    """Relative path -> content of all that is visible."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and ".genir" not in path.parts)
    return {str(path.relative_to(root)): path.read_bytes() for path in files}
