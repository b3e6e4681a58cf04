"""Prove a finished shard: its marker, the files the marker names, every row, every image."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from genir import images, seeds, storage
from genir.shards import table
from genir.shards.files import Marker, Row, ShardFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_VERDICTS = ("kept", "rejected", "error")


@dataclass
class Proof:
    """What was found in a finished shard; it is proven when there are no problems."""

    verdicts: Counter[str] = field(default_factory=Counter)
    """kept, rejected, error -> rows."""
    reasons: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    """Rows of tasks that were asked for; the others are more than was asked."""
    problems: list[str] = field(default_factory=list)
    """One line each, with the file's name."""


def prove(files: ShardFiles, keys: range, upto: int, plan: dict[str, Any]) -> Proof | None:
    """Look at every byte of a shard.

    Args:
        files: the shard's files.
        keys: the numbers of its tasks.
        upto: tasks with a smaller number are asked for.
        plan: the content of plan.json.

    Returns:
        None when the shard is not finished.
    """
    while True:
        content = _read(files.marker)
        if content is None:
            return None
        try:
            proof = _prove(content, files, keys, upto, plan)
        except OSError as error:  # a disk that cannot be read is what this is for
            return Proof(problems=[f"{files.folder / files.name}: {error.strerror}"])
        if not proof.problems or _read(files.marker) == content:
            return proof  # else a worker has replaced the shard by a longer one meanwhile


def trusted_rows(files: ShardFiles) -> list[Row] | None:
    """The rows of a shard whose table has the hash that its marker states; None of any other."""
    try:
        marker = Marker(**json.loads(files.marker.read_bytes()))
        content = files.table.read_bytes()
        if hashlib.sha256(content).hexdigest() != marker.files[files.table.name]["sha256"]:
            return None
        return table.decode(content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def proven_images(files: ShardFiles, rows: list[Row]) -> dict[str, bytes]:
    """Key -> encoded image, of those in the tar that decode to the pixels of their row; the tar may be damaged."""
    by_key = {row["key"]: row for row in rows if row["verdict"] == "kept"}
    found = {}
    for name, content in _members(files.tar):
        key, _, suffix = name.partition(".")
        if key in by_key and suffix in ("png", "webp") and not _image_problem(content, by_key[key]):
            found[key] = content
    return found


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError:
        return b""  # there, but unreadable


def _prove(content: bytes, files: ShardFiles, keys: range, upto: int, plan: dict[str, Any]) -> Proof:
    proof = Proof()
    try:
        marker = Marker(**json.loads(content))
        proof.problems += [
            f"{name}: {problem}"
            for name, facts in marker.files.items()
            if (problem := _file_problem(files.folder / name, int(facts["size"]), str(facts["sha256"])))
        ]
        if files.table.name not in marker.files:
            proof.problems.append(f"{files.marker.name}: names no table")
    except (ValueError, TypeError, KeyError, AttributeError):
        proof.problems.append(f"{files.marker.name}: cannot be read")
        return proof
    rows = trusted_rows(files)
    if rows is None:
        return proof
    proof.problems += [f"{files.table.name}: {problem}" for problem in _row_problems(rows, keys)]
    length, problems = _tar_problems(files.tar, [row for row in rows if row["verdict"] == "kept"])
    proof.problems += [f"{files.tar.name}: {problem}" for problem in problems]
    if not proof.problems:
        proof.verdicts = Counter(row["verdict"] for row in rows)
        proof.reasons = Counter(row["reason"] for row in rows if row["verdict"] != "kept")
        proof.asked = sum(int(row["key"]) < upto for row in rows)
        expected = _expected_marker(files, rows, keys, length, plan)
        stated = {name: getattr(marker, name) for name in expected}
        proof.problems = [
            f"{files.marker.name}: {name} is {stated[name]}, the files say {expected[name]}"
            for name in expected
            if stated[name] != expected[name]
        ]
    return proof


def _file_problem(path: Path, size: int, sha256: str) -> str:
    try:
        actual = storage.true_size(path)
        if actual != size:
            return f"has {actual} bytes, not {size}"
        return "" if storage.sha256(path) == sha256 else "is not the file that was written (SHA-256)"
    except OSError as error:
        return error.strerror or str(error)


def _row_problems(rows: list[Row], keys: range) -> Iterator[str]:
    seen = Counter(row["key"] for row in rows)
    for key, count in seen.items():
        if not (len(key) == 9 and key.isdigit() and int(key) in keys):
            yield f"{key} is no task of this shard"
        elif count > 1:
            yield f"{key} has {count} rows"
    for row in rows:
        if row["verdict"] not in _VERDICTS:
            yield f"{row['key']} has the verdict {row['verdict']!r}"


def _expected_marker(
    files: ShardFiles, rows: list[Row], keys: range, length: int, plan: dict[str, Any]
) -> dict[str, Any]:
    """What the marker must say of these rows and of a tar with samples of that length."""
    there = {int(row["key"]) for row in rows}
    meaning = plan["meaning"]  # a row has the size of the stored picture, after a crop: batches go by the task's
    of_a_size = Counter(seeds.choice(meaning["seed"], row["key"], "size", len(meaning["size"])) for row in rows)
    kept = sum(row["verdict"] == "kept" for row in rows)
    return {
        "shard": files.name,
        "plan": plan["digest"],
        "batches": sum(-(-count // meaning["batch"]) for count in of_a_size.values()),
        "covered": next((key for key in keys if key not in there), keys.stop),
        "tasks": len(rows),
        "kept": kept,
        "reasons": dict(Counter(row["reason"] for row in rows if row["verdict"] != "kept")),
        "data_bytes": length,
    }


def _tar_problems(path: Path, kept: list[Row]) -> tuple[int, list[str]]:
    """Length of the samples, and what is wrong with the images of the kept rows."""
    by_key = {row["key"]: row for row in kept}
    missing = {f"{key}.{suffix}" for key in by_key for suffix in ("image", "json", "txt")}
    problems, length = [], 0
    for name, content in _members(path):
        key, _, suffix = name.partition(".")
        length += tarfile.BLOCKSIZE + len(content) + -len(content) % tarfile.BLOCKSIZE
        member = f"{key}.image" if suffix in ("png", "webp") else name
        if member not in missing:
            problems.append(f"{name} is there twice, or belongs to no kept row")
            continue
        missing.remove(member)
        if problem := _member_problem(suffix, content, by_key[key]):
            problems.append(f"{name} {problem}")
    return length, problems + [f"{name} is missing" for name in sorted(missing)]


def _member_problem(suffix: str, content: bytes, row: Row) -> str:
    if suffix == "txt":
        return "" if content == row["prompt"].encode() else "is not the prompt of its row"
    if suffix != "json":
        return _image_problem(content, row)
    try:
        stated = json.loads(content)
    except ValueError:
        return "is not JSON"
    return (
        "" if all(stated.get(name) == row[name] for name in ("key", "seed", "pixels_sha256")) else "is of another row"
    )


def _image_problem(content: bytes, row: Row) -> str:
    try:
        pixels_CHW = images.decode(content)
    except Exception as error:  # noqa: BLE001 - whatever damaged bytes can provoke in a decoder
        return f"does not decode: {error}"
    if pixels_CHW.shape != (3, row["height"], row["width"]):
        return f"has the shape {pixels_CHW.shape}"
    return "" if images.pixels_sha256(pixels_CHW) == row["pixels_sha256"] else "has other pixels than its row says"


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of a tar that may be damaged or absent: what cannot be read is passed over."""
    try:
        with tarfile.open(path, "r:", ignore_zeros=True) as tar:
            for info in tar:
                file = tar.extractfile(info)
                if file is not None:
                    yield info.name, file.read()
    except (FileNotFoundError, tarfile.TarError):
        return
