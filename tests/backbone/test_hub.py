"""What is asked of the hub when there is a network: a fake hub that serves a folder."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from genir.backbone import files, hub
from genir.errors import ModelError


class FakeHub:
    """Serves `source`; downloads by pattern into `cache`."""

    def __init__(self, source: Path, cache: Path):
        self.source, self.cache = source, cache
        self.downloads: list[list[str]] = []
        self.error: Exception | None = None

    def list_repo_files(self, id: str, revision: str | None) -> list[str]:
        if self.error:
            raise self.error
        return hub.names(self.source)

    def snapshot_download(
        self,
        id: str,
        revision: str | None,
        local_files_only: bool = False,
        allow_patterns: list[str] | None = None,
    ) -> str:
        if local_files_only:
            if not self.cache.exists():
                raise LocalEntryNotFoundError("nothing cached")
            return str(self.cache)
        self.downloads.append(allow_patterns or [])
        for name in hub.names(self.source):
            if any(fnmatch(name, pattern) for pattern in allow_patterns or []):
                (self.cache / name).parent.mkdir(parents=True, exist_ok=True)
                (self.cache / name).write_bytes((self.source / name).read_bytes())
        return str(self.cache)


@pytest.fixture
def fake(sd_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    found = FakeHub(sd_folder, tmp_path / "cache")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "HfApi", lambda: found)
    monkeypatch.setattr(hub, "snapshot_download", found.snapshot_download)
    return found


def test_only_what_is_needed_is_downloaded_and_only_once(fake: FakeHub) -> None:
    found = files.find("owner/model")
    index_only, rest = fake.downloads
    assert index_only == ["model_index.json"]
    assert "unet/diffusion_pytorch_model.safetensors" in rest
    assert not [name for name in rest if "*" in name]
    assert files.find("owner/model") == found
    assert len(fake.downloads) == 2


def test_an_unknown_family_is_refused_before_weights_are_downloaded(
    fake: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.source = tmp_path / "flux"
    fake.source.mkdir()
    (fake.source / "model_index.json").write_text('{"_class_name": "Flux2Pipeline"}')
    with pytest.raises(ModelError, match="model owner/model: family Flux2Pipeline is not supported; known: "):
        files.find("owner/model")
    assert fake.downloads == [["model_index.json"]]


def response(status: int) -> Any:
    return SimpleNamespace(headers={}, request=None, status_code=status)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            GatedRepoError("x", response=response(403)),
            "its licence must be accepted on the hub, and HF_TOKEN set",
        ),
        (RepositoryNotFoundError("x", response=response(404)), "the hub knows no such id (or it is private)"),
        (RevisionNotFoundError("x", response=response(404)), "the hub has no revision 'v9' of it"),
        (
            HfHubHTTPError("503 busy\nmore", response=response(503)),
            "the hub cannot be asked (503 busy); give a folder",
        ),
        (
            ConnectionError("no route"),
            "the hub is not reachable; `genir fetch CONFIG` gets it on",
        ),
    ],
)
def test_what_the_hub_refuses(error: Exception, text: str, fake: FakeHub) -> None:
    fake.error = error
    with pytest.raises(ModelError) as caught:
        files.find("owner/model", revision="v9")
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
