from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from genir import dualprompt
from genir.dualprompt import DualPrompt
from genir.errors import ModelError
from genir.records import NEGATIVE_TEMPLATE, POSITIVE_TEMPLATE


def pair(**changes: Any) -> DualPrompt:
    torch.manual_seed(0)
    values: dict[str, Any] = {
        "mode": "tokens",
        "positive": {"clip_l": torch.randn(3, 8), "clip_g": torch.randn(3, 12)},
        "negative": {"clip_l": torch.randn(2, 8), "clip_g": torch.randn(2, 12)},
        "model_id": "some/model",
        "family": "sdxl",
        "model_hash": "ab" * 32,
        "step": 40,
        "config": {"lr": 0.001, "words": ["sharp"]},
        "lora": {"unet.x.lora_A.weight": torch.randn(2, 4)},
    }
    return DualPrompt(**values | changes)


def output(**changes: Any) -> DualPrompt:
    values: dict[str, Any] = {
        "mode": "output",
        "positive": {"embeds": torch.randn(3, 8), "pooled": torch.randn(5)},
        "negative": {"embeds": torch.randn(3, 8)},
    }
    return pair(**values | changes)


ONE_ENCODER = {"positive": {"clip_l": torch.ones(1, 4)}, "negative": {"clip_l": torch.ones(2, 4)}}


@pytest.mark.parametrize("dual", [pair(), output(lora_branch="negative"), pair(family="sd", lora={}, **ONE_ENCODER)])
def test_round_trip(dual: DualPrompt, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "pair.safetensors"
    sha256 = dualprompt.save(dual, path)
    found = dualprompt.load(path)
    assert found.sha256 == sha256
    for name in ("positive", "negative", "lora"):
        ours, theirs = getattr(dual, name), getattr(found, name)
        assert set(ours) == set(theirs)
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    for name in (
        "mode",
        "model_id",
        "model_hash",
        "family",
        "step",
        "config",
        "template_positive",
        "template_negative",
        "lora_branch",
    ):
        assert getattr(dual, name) == getattr(found, name)
    assert [entry.name for entry in path.parent.iterdir()] == ["pair.safetensors"]


def test_equal_pairs_are_equal_files(tmp_path: Path) -> None:
    assert dualprompt.save(pair(), tmp_path / "a") == dualprompt.save(pair(), tmp_path / "b")
    assert dualprompt.save(pair(step=41), tmp_path / "c") != dualprompt.save(pair(), tmp_path / "b")


def test_vectors_are_stored_as_float32_and_detached(tmp_path: Path) -> None:
    learned = torch.nn.Parameter(torch.ones(3, 8, dtype=torch.float16))
    dual = pair(family="sd", positive={"clip_l": learned}, negative={"clip_l": learned}, lora={})
    dualprompt.save(dual, tmp_path / "a")
    found = dualprompt.load(tmp_path / "a").positive["clip_l"]
    assert found.dtype == torch.float32
    assert not found.requires_grad


def test_defaults_and_counts() -> None:
    assert (pair().template_positive, pair().template_negative) == (POSITIVE_TEMPLATE, NEGATIVE_TEMPLATE)
    assert POSITIVE_TEMPLATE == "A {tokens} image. {caption}"
    assert NEGATIVE_TEMPLATE == "A {tokens} image."
    assert (pair().tokens("positive"), pair().tokens("negative"), output().tokens("positive")) == (3, 2, 3)


ODD = torch.ones(3, 9)
REFUSED = [
    (pair(mode="input"), "mode 'input'; allowed: tokens, output"),
    (pair(family="flux2"), "family 'flux2'; allowed: sd, sdxl"),
    (pair(positive={"clip_l": ODD}), "positive has clip_l; tokens mode of family sdxl needs clip_g, clip_l"),
    (pair(positive={}), "positive has no vectors"),
    (pair(family="sd"), "positive has clip_g, clip_l; tokens mode of family sd needs clip_l"),
    (
        pair(positive={"clip_l": torch.ones(3, 8), "clip_g": torch.ones(4, 12)}),
        "[3, 4] vectors for its text encoders",
    ),
    (
        pair(positive={"clip_l": ODD, "clip_g": torch.ones(3, 12)}),
        "clip_l is 9 wide on the positive, 8 on the negative",
    ),
    (pair(positive={"clip_l": torch.ones(8), "clip_g": ODD}), "clip_l is torch.float32 of shape (8,)"),
    (pair(positive={"clip_l": torch.ones(0, 8), "clip_g": torch.ones(0, 12)}), "of shape (0, 8)"),
    (pair(positive={"clip_l": ODD.int(), "clip_g": ODD}), "clip_l is torch.int32"),
    (
        pair(negative={"clip_l": torch.full((2, 8), torch.nan), "clip_g": torch.ones(2, 12)}),
        "negative clip_l holds NaN",
    ),
    (pair(lora={"x": torch.tensor([torch.inf])}), "lora x holds NaN or infinity"),
    (
        output(negative={"embeds": torch.ones(2, 8)}),
        "3 positive, 2 negative vectors; output mode needs equal numbers",
    ),
    (output(family="sd"), "positive has embeds, pooled; output mode of family sd needs embeds"),
    (
        pair(template_positive="An image. {caption}"),
        "template 'An image. {caption}' needs {tokens} exactly once",
    ),
    (pair(template_negative="{tokens} {tokens}"), "needs {tokens} exactly once"),
    (pair(lora_branch="one"), "lora_branch 'one'; allowed: both, positive, negative"),
    (pair(lora_branch="negative", lora={"text_encoder.x": ODD}), "acts on the negative pass alone, so only of unet"),
]


@pytest.mark.parametrize(("dual", "text"), REFUSED, ids=[text[:40] for _, text in REFUSED])
def test_refused_pairs(dual: DualPrompt, text: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        dualprompt.save(dual, tmp_path / "pair.safetensors")
    assert text in str(caught.value)
    assert str(caught.value).startswith(f"dual prompt {tmp_path}/pair.safetensors: ")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def changed_header(path: Path, **changes: Any) -> None:
    """Rewrite a saved file's header as another program might have."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    outer = json.loads(content[8 : 8 + length])
    header = json.loads(outer["__metadata__"]["genir_dual_prompt"]) | changes
    outer["__metadata__"]["genir_dual_prompt"] = json.dumps({k: v for k, v in header.items() if v is not None})
    text = json.dumps(outer).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def foreign(path: Path) -> None:
    save_file({"emb_params": torch.ones(2, 4)}, path)


def unknown_tensor(path: Path) -> None:
    dualprompt.save(pair(), path)
    content = path.read_bytes().replace(b'"positive.clip_l"', b'"somewhat.clip_l"')
    path.write_bytes(content)


DAMAGE = [
    (truncate, "damaged or not a safetensors file"),
    (lambda path: path.write_text("hello, this is text"), "damaged or not a safetensors file"),
    (lambda path: path.write_bytes(b""), "damaged or not a safetensors file"),
    (lambda path: path.unlink(), "cannot be read: No such file"),
    (lambda path: (path.unlink(), path.mkdir()), "a folder; name the file in it (such as dual.safetensors)"),
    (foreign, "a safetensors file, but not a dual prompt"),
    (unknown_tensor, "unknown tensor somewhat.clip_l; allowed: positive.*, negative.*, lora.*"),
    (lambda path: changed_header(path, version=9), "format version 9; this genir reads 1: update genir"),
    (lambda path: changed_header(path, step="x"), "damaged header: step missing, unknown or of a wrong type"),
    (lambda path: changed_header(path, mode=None), "damaged header: mode missing"),
    (lambda path: changed_header(path, more=1), "damaged header: more missing, unknown"),
    (lambda path: changed_header(path, family="sd"), "positive has clip_g, clip_l; tokens mode of family sd"),
]


@pytest.mark.parametrize(("damage", "text"), DAMAGE, ids=[text[:40] for _, text in DAMAGE])
def test_refused_files(damage: Any, text: str, tmp_path: Path) -> None:
    path = tmp_path / "pair.safetensors"
    dualprompt.save(pair(), path)
    damage(path)
    with pytest.raises(ModelError) as caught:
        dualprompt.load(path)
    assert text in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_header_without_a_branch_means_both(tmp_path: Path) -> None:
    path = tmp_path / "pair.safetensors"
    dualprompt.save(pair(lora_branch="positive"), path)
    changed_header(path, lora_branch=None)
    assert dualprompt.load(path).lora_branch == "both"


def test_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written"):
        dualprompt.save(pair(), tmp_path / "file" / "pair.safetensors")


def test_a_config_that_json_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="config holds a value that JSON cannot store"):
        dualprompt.save(replace(pair(), config={"lr": torch.ones(1)}), tmp_path / "pair")
