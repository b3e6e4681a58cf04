"""Every command that a document, a configuration or a help text shows is one that genir takes; cheap ones are run."""

import importlib
import re

import exported
import numpy as np
import pytest
from PIL import Image
from processes import forked
from told import ROOT, blocks, documents, told

from genir import cli
from genir.config import base
from genir.config.audit import Copies, Privacy
from genir.config.generate import Generate
from genir.config.select import Select
from genir.jobs.fetch import collect
from tools.docs.help_pages import pages

TOLD = told()
WHOLE = [one for one in TOLD if one.whole]
RUN = ("status", "verify", "report", "prompts compose", "prompts screen", "prompts dedupe", "prompts stats")
RUNS = {"castles", "castles_x4", "a", "embedded", "pairs"}  # that the reader has, see `world`
DRY = ("degrade", "score", "export", "generate", "prepare")


def name_of(words):
    return " ".join(words[:2]) if words[0] == "prompts" else words[0]


def parsed(words):
    try:
        return cli._parse(words)
    except SystemExit:
        return None


class Loaded(Exception):
    """Ends a command after its configuration is loaded."""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """What the commands of the documents expect a reader to have."""
    root = tmp_path_factory.mktemp("reader")
    for folder in ("photos", "bad", "people", "tars", "DIV2K_valid_HR"):
        (root / folder).mkdir()
        pixels_HWC = np.random.default_rng(0).integers(0, 256, (1056, 1056, 3), np.uint8)
        Image.fromarray(pixels_HWC).save(root / folder / "one.png", compress_level=0)
        (root / folder / "one.txt").write_text("noise")
    (root / "outputs/calibration").mkdir(parents=True)
    (root / "outputs/calibration/gates.yaml").write_text("gates: {face: {threshold: 0.3}}\n")
    (root / "published.jsonl").write_text("")
    (root / "genir").symlink_to(ROOT / "genir")  # a reader in the checkout
    code, _ = forked(root / "outputs/castles", prompts=2, shard_size=2, batch=1, sizes=[[1056, 1056]])
    assert code == 0
    exported.make_pairs(root / "outputs/castles", root / "outputs/castles_x4", "degradation=bicubic")
    for name, same in {"a": "castles", "embedded": "castles", "pairs": "castles_x4"}.items():
        (root / "outputs" / name).symlink_to(same)
    return root


@pytest.fixture
def here(world, monkeypatch):
    """In the reader's folder, with prompt files, without a log on the screen."""
    for file in ("my_prompts", "composed", "screened", "bank", "a", "b"):
        (world / f"{file}.jsonl").write_text('{"prompt": "a red rose, dew"}\n{"prompt": "an old stone bridge"}\n')
    for removed in world.glob("*.removed.jsonl"):
        removed.unlink()
    monkeypatch.chdir(world)
    monkeypatch.setattr(cli.logging, "basicConfig", lambda **options: None)
    for name in ("TRANSFORMERS_VERBOSITY", "DIFFUSERS_VERBOSITY", "HF_HUB_VERBOSITY"):
        monkeypatch.setenv(name, "error")
    return world


def test_the_documents_tell_commands():
    places = {one.where for one in WHOLE}
    assert {"README.md", "prompts/README.md", "configs/generate_sdxl.yaml", "genir degrade --help"} <= places
    assert len(WHOLE) > 80


@pytest.mark.parametrize("one", TOLD, ids=lambda one: f"{one.where}: {one.text}")
def test_a_command_is_one_that_genir_takes(one, here, monkeypatch, capsys):
    """Its words are parsed; its configuration, with the overrides, is loaded."""
    if not one.whole:
        check_parts(one)
        return
    options = parsed(one.words)
    assert options is not None, capsys.readouterr().err
    load = base.load

    def loading(*arguments):
        raise Loaded(load(*arguments))

    if one.words[0] == "fetch":
        told = options.overrides
        assert collect([text for text in told if "=" not in text], [text for text in told if "=" in text])
        return
    monkeypatch.setattr(base, "load", loading)
    if "config" in options:
        with pytest.raises(Loaded):
            options.command(options)
    elif one.words[0] == "select":
        base.resolve(Select, {"gates": {}}, "the run", options.overrides)
    elif one.words[0] == "verify" and options.privacy:
        base.resolve(Privacy, {}, "the defaults", options.overrides)
    elif one.words[0] == "verify" and options.copies:
        base.resolve(Copies, {}, "the defaults", options.overrides)
    elif "overrides" in options:
        base.resolve(Generate, {}, "the run", options.overrides)


def check_parts(one):
    """The command is there, and has the options."""
    name, known = f"genir {name_of(one.words)}", pages()
    page = known.get(name, known.get(f"genir {one.words[0]}"))
    assert page is not None, f"{one.where}: there is no {name}"
    assert [word for word in one.words if word.startswith("--") and word not in page] == []


def is_cheap(one):
    name, text = name_of(one.words), one.text
    if re.search(r"#|s3://|--protocol|labels=", text):  # a selection, a store, a manifest, labels
        return False
    inputs = " ".join(word for word in one.words if not word.startswith(("run=", "out=")))
    if not set(re.findall(r"outputs/(\w+)", inputs)) <= RUNS:
        return False
    if name in RUN:
        return not {"--repair", "--privacy", "--copies", "--watch", "--entities", "--plot"} & set(one.words)
    return name in DRY and not re.search("sdxl|flux", text) and "{" not in text


CHEAP = [one for one in WHOLE if is_cheap(one)]


def test_many_commands_are_cheap():
    assert {name_of(one.words) for one in CHEAP} == {*RUN, *DRY}


@pytest.mark.parametrize("one", CHEAP, ids=lambda one: one.text)
def test_a_cheap_command_works(one, here, capsys):
    """Run as a reader would, or as --dry-run of a new run."""
    words, name = list(one.words), name_of(one.words)
    if name in DRY:
        words += [] if "--dry-run" in words else ["--dry-run"]
        words += ["run=outputs/new"] if name in ("generate", "degrade", "prepare") else []
    if name == "prompts compose":
        words.append("count=50")
    for word, following in zip(words, [*words[1:], ""], strict=True):
        out = following if word == "-o" else word.removeprefix("out=") if word.startswith("out=") else ""
        if out.endswith(".jsonl"):
            (here / out).unlink(missing_ok=True)
    assert cli.run(words) == 0, capsys.readouterr().err


def test_targets_of_make_are_there():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name in documents():
        for block in blocks((ROOT / name).read_text()):
            told_targets = re.findall(r"^\s*make ([a-z-]+)", block, re.MULTILINE)
            assert set(told_targets) <= targets, name


def test_what_is_imported_from_genir_is_there():
    found = 0
    for name in documents():
        for module, things in re.findall(r"from (genir[\w.]*) import ([\w, ]+)", (ROOT / name).read_text()):
            for thing in things.split(","):
                assert hasattr(importlib.import_module(module), thing.strip()), f"{name}: {module}.{thing}"
                found += 1
    assert found


def test_files_named_in_documents_are_there():
    for name in documents():
        text = (ROOT / name).read_text()
        for path in re.findall(r"`((?:configs|prompts|launch|docs|tests|tools|genir)/[a-z_0-9./*-]+)`", text):
            assert list(ROOT.glob(path)) or list((ROOT / name).parent.glob(path)), f"{name}: {path}"


def test_a_wrong_command_is_found(tmp_path, monkeypatch):
    import told as module

    (tmp_path / "configs").mkdir()
    (tmp_path / "README.md").write_text(
        "`genir paint` and\n\n    genir generate a.yaml steps=3 --fast   # quick\n"
        "    accelerate launch -m genir status x\n"
    )
    monkeypatch.setattr(module, "ROOT", tmp_path)
    found = [one for one in module.told() if one.where == "README.md"]
    assert [one.words for one in found] == [
        ["generate", "a.yaml", "steps=3", "--fast"],
        ["status", "x"],
        ["paint"],
    ]
    assert parsed(found[0].words) is None
    with pytest.raises(AssertionError):
        check_parts(found[2])
