"""Find a model by folder, file, hub id or the name `embedded`; download what is missing from a hub cache (no
torch).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from genir import embedded
from genir.errors import ModelError
from genir.storage import sha256

FETCH = "`genir fetch CONFIG` gets it on a machine with a network, into a cache that you may copy"

FILE_SUFFIXES = (".safetensors", ".ckpt")

Choose = Callable[[Iterable[str], Path | None], list[str]]
"""(names of a repository's files, folder or None when not local) -> the names that are needed; raises
ModelError.
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A model on this machine."""

    id: str
    kind: Literal["folder", "file"]
    path: Path


def find(id: str, choose: Choose, *, revision: str | None = None, what: str = "model") -> Found:
    """Where `id` lies: an existing folder or file, `embedded`, or a snapshot in the hub cache.

    A snapshot that holds everything `choose` wants is taken without asking the hub, else the missing files
    are downloaded. Raises ModelError: nothing there, offline, refused by the hub.
    """
    if id == "embedded":
        return Found(id, "folder", embedded.folder())
    path = Path(id).expanduser()
    if path.is_dir():
        return Found(id, "folder", path)
    if path.is_file():
        if path.suffix not in FILE_SUFFIXES:
            raise ModelError(f"{what} {id}: a file must end in {' or '.join(FILE_SUFFIXES)}")
        return Found(id, "file", path)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", id) or id.startswith(".") or path.suffix in FILE_SUFFIXES:
        allowed = "a folder, a .safetensors or .ckpt file, a hub id (owner/name) or embedded"
        raise ModelError(f"{what} {id}: no such folder or file; allowed: {allowed}")
    return Found(id, "folder", _snapshot(id, choose, revision, what))


@dataclass(frozen=True, slots=True)
class Listing:
    """What the hub says of the files that are needed of a repository."""

    commit: str
    bytes: dict[str, int]
    """By name of the file."""
    sha256: dict[str, str]
    """Of the large files."""
    licence: str


def cached(id: str, choose: Choose, *, revision: str | None = None) -> Path | None:
    """The snapshot in the hub cache, if it holds all that `choose` wants; asks nobody."""
    folder = _cached(id, revision)
    try:
        if folder is not None:
            choose(names(folder), folder)
    except ModelError:
        return None
    return folder


def listing(id: str, choose: Choose, *, revision: str | None = None, what: str = "model") -> Listing:
    """Ask the hub which files are needed; only the index that says so is downloaded. Raises ModelError as `find`."""
    with _explained(id, revision, what):
        info = HfApi().model_info(id, revision=revision, files_metadata=True)
        there = {file.rfilename: file for file in info.siblings or ()}
        wanted = {*choose(list(there), _index(id, list(there), info.sha)), *({"README.md"} & there.keys())}
        card = info.card_data
        return Listing(
            str(info.sha),
            {name: there[name].size or 0 for name in sorted(wanted)},
            {name: file.lfs.sha256 for name, file in there.items() if name in wanted and file.lfs},
            str((card and (card.get("license_name") or card.get("license"))) or "unknown"),
        )


def download(id: str, wanted: Listing, *, what: str = "model", revision: str | None = None) -> Path:
    """The folder of a snapshot with these files, their SHA-256 checked; raises ModelError as `find` does."""
    with _explained(id, revision, what):  # by its name, so that the cache knows the name offline
        folder = Path(snapshot_download(id, revision=revision, allow_patterns=list(wanted.bytes)))
    for name, expected in wanted.sha256.items():
        if sha256(folder / name) != expected:
            raise ModelError(
                f"{what} {id}: {name} is not the hub's file (SHA-256): delete {(folder / name).resolve()}, fetch again"
            )
    return folder


def cache_folder() -> str:
    """Where the hub's client keeps what it downloads."""
    return os.environ.get("HF_HUB_CACHE", constants.HF_HUB_CACHE)


def _snapshot(id: str, choose: Choose, revision: str | None, what: str) -> Path:
    folder = _cached(id, revision)
    if folder is not None:
        try:
            choose(names(folder), folder)
        except ModelError as error:
            if constants.is_offline_mode():
                raise ModelError(f"{error} ({FETCH})") from error
        else:
            return folder
    if constants.is_offline_mode():
        raise _offline(id, what)
    with _explained(id, revision, what):
        there = HfApi().list_repo_files(id, revision=revision)
        wanted = choose(there, _index(id, there, revision))
        return Path(snapshot_download(id, revision=revision, allow_patterns=[*wanted, "README.md"]))


def _index(id: str, there: list[str], revision: str | None) -> Path:
    """The index decides what else is wanted, so it comes first."""
    indexes = [name for name in there if name in ("model_index.json", "config.json")]
    return Path(snapshot_download(id, revision=revision, allow_patterns=indexes))


@contextlib.contextmanager
def _explained(id: str, revision: str | None, what: str) -> Iterator[None]:
    """What the hub's client raises, as a ModelError."""
    try:
        yield
    except ModelError:
        raise
    except GatedRepoError as error:
        raise ModelError(f"{what} {id}: its licence must be accepted on the hub, and HF_TOKEN set") from error
    except RevisionNotFoundError as error:
        raise ModelError(f"{what} {id}: the hub has no revision {revision!r} of it") from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"{what} {id}: no such folder or file, and the hub knows no such id (or it is private)"
        ) from error
    except (HfHubHTTPError, HFValidationError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"{what} {id}: the hub cannot be asked ({first}); give a folder instead") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise ModelError(f"{what} {id}: {cache_folder()} cannot be written: {error.strerror}") from error
        raise _offline(id, what) from error
    except Exception as error:  # no network: each version of the hub client has another transport library
        raise _offline(id, what) from error


def _cached(id: str, revision: str | None) -> Path | None:
    """The snapshot of a revision, however much of it there is: `choose` knows what is needed of it."""
    try:
        return Path(snapshot_download(id, revision=revision, local_files_only=True))
    except HFValidationError:
        return None
    except LocalEntryNotFoundError:  # also of a snapshot without files that nobody needs
        repository = Path(constants.HF_HUB_CACHE) / f"models--{id.replace('/', '--')}"
        reference = repository / "refs" / (revision or "main")
        commit = reference.read_text().strip() if reference.is_file() else revision or ""
        folder = repository / "snapshots" / commit
        return folder if commit and folder.is_dir() else None


def _offline(id: str, what: str) -> ModelError:
    return ModelError(
        f"{what} {id}: no such folder, not in the hub cache {cache_folder()}, and the hub is not reachable; {FETCH}, "
        "or give a folder"
    )


def names(folder: Path) -> list[str]:
    """Relative POSIX names of the files of a folder and of its direct subfolders, sorted."""
    found = [path for pattern in ("*", "*/*") for path in folder.glob(pattern) if path.is_file()]
    return sorted(path.relative_to(folder).as_posix() for path in found)


def licence(found: Found) -> str:
    """`license` of the model card's front matter; "unknown" without one (always so for a single file)."""
    folder = found.path.parent if found.id == "embedded" else found.path
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    front = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    fields = dict(re.findall(r"^(license\w*):[ \t]*(\S.*?)[ \t]*$", front[1] if front else "", re.MULTILINE))
    name = fields.get("license", "unknown").strip("'\"")
    return fields["license_name"].strip("'\"") if name == "other" and "license_name" in fields else name
