"""Find a model by folder, file, hub id or the name `embedded`; download what is missing from a hub cache (no
torch).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
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


def _snapshot(id: str, choose: Choose, revision: str | None, what: str) -> Path:
    cached = _cached(id, revision)
    if cached is not None:
        try:
            choose(names(cached), cached)
        except ModelError:
            if constants.is_offline_mode():
                raise
        else:
            return cached
    if constants.is_offline_mode():
        raise _offline(id, what)
    try:
        listing = HfApi().list_repo_files(id, revision=revision)
        # The index decides what else is wanted, so it comes first
        indexes = [name for name in listing if name in ("model_index.json", "config.json")]
        folder = Path(snapshot_download(id, revision=revision, allow_patterns=indexes))
        wanted = choose(listing, folder)
        return Path(snapshot_download(id, revision=revision, allow_patterns=[*wanted, "README.md"]))
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
    except Exception as error:  # no network: each version of the hub client has another transport library
        raise _offline(id, what) from error


def _cached(id: str, revision: str | None) -> Path | None:
    try:
        return Path(snapshot_download(id, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def _offline(id: str, what: str) -> ModelError:
    cache = os.environ.get("HF_HUB_CACHE", constants.HF_HUB_CACHE)
    return ModelError(
        f"{what} {id}: no such folder, not in the hub cache {cache}, and the hub is not reachable; "
        "download it on a machine with a network and copy the cache, or give a folder"
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
