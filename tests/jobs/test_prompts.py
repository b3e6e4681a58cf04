"""`genir prompts` as a user runs it."""

import json
import subprocess
import sys

import pytest

from genir.cli import run
from genir.promptfile import PromptFiles

CONFIG = "configs/prompts_compose.yaml"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_four_commands_in_a_row(folder, capsys):
    assert run(["prompts", "compose", CONFIG, "count=400", "out=a.jsonl", "shares.fur=2"]) == 0
    assert "400 prompts in a.jsonl" in capsys.readouterr().out
    with (folder / "a.jsonl").open("a") as file:
        file.write('{"prompt": "a smiling woman, Pepsi", "id": "x1", "category": "c"}\n')
        file.write((folder / "a.jsonl").read_text().splitlines()[5] + "\n")
    assert run(["prompts", "screen", "a.jsonl", "-o", "b.jsonl"]) == 0
    assert "401 of 402 prompts kept in b.jsonl" in capsys.readouterr().out
    (removed,) = read(folder / "b.removed.jsonl")
    assert (removed["id"], removed["prompt"]) == ("x1", "a smiling woman, Pepsi")
    assert [finding["reason"] for finding in removed["findings"]] == ["people", "brand"]
    assert run(["prompts", "dedupe", "b.jsonl", "-o", "c.jsonl"]) == 0
    assert "1 exact" in capsys.readouterr().out
    assert {"exact"} <= {record["reason"] for record in read(folder / "c.removed.jsonl")}
    assert PromptFiles(["c.jsonl"]).count + len(read(folder / "c.removed.jsonl")) == 401
    assert run(["prompts", "stats", "c.jsonl", "--plot", "page.png"]) == 0
    out = capsys.readouterr().out
    assert "skeletons" in out
    assert "fur" in out
    assert (folder / "page.png").read_bytes().startswith(b"\x89PNG")


def test_equal_bytes_on_a_second_run_in_another_process(folder):
    for name in ("one", "two"):
        command = [sys.executable, "-m", "genir", "prompts", "compose", CONFIG, "count=500", f"out={name}.jsonl"]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert (folder / "one.jsonl").read_bytes() == (folder / "two.jsonl").read_bytes()


def test_all_fields_survive(folder):
    record = {
        "id": "a1",
        "prompt": "a lake",
        "negative": "boats",
        "category": "water",
        "tags": ["still", "deep"],
        "source": "me",
        "licence": "MIT",
    }
    (folder / "a.jsonl").write_text(json.dumps(record) + "\n")
    assert run(["prompts", "screen", "a.jsonl", "-o", "b.jsonl"]) == 0
    assert run(["prompts", "dedupe", "b.jsonl", "-o", "c.jsonl"]) == 0
    assert read(folder / "c.jsonl") == [record]


def test_the_screen_says_what_it_cannot_read(folder, capsys):
    (folder / "a.txt").write_text("湖、木、夕日\nрыбак у пруда\n🦊 in the snow\n", encoding="utf-8")
    assert run(["prompts", "screen", "a.txt", "-o", "b.jsonl"]) == 0
    assert "2 of them have no word in Latin letters" in capsys.readouterr().out


def test_stats_for_programs(folder, capsys):
    (folder / "a.txt").write_text("a red fox\na blue whale\nfog, pier\n")
    assert run(["prompts", "stats", "a.txt", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["prompts"], found["skeletons"], found["length"]["max"]) == (3, 2, 3)
    assert found["largest_skeleton_share"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compose", CONFIG, "out=there.jsonl"], "there.jsonl: is there already; remove it or choose another name"),
        (["compose", CONFIG, "out=new.txt"], "new.txt: the output is JSON lines; give it the ending .jsonl"),
        (["compose", CONFIG, "out=none/new.jsonl"], "none/new.jsonl: no folder none; make it first"),
        (["compose", CONFIG, "shares.people=1"], "shares.people: no such category; the grammar has aerial, "),
        (["screen", "none.jsonl", "-o", "new.jsonl"], "none.jsonl: no such prompt file"),
        (["screen", "there.jsonl", "-o", "there.jsonl"], "there.jsonl: is there already"),
        (["dedupe", "bad.jsonl", "-o", "new.jsonl"], 'bad.jsonl line 2: no "prompt"'),
        (["screen", "empty", "-o", "new.jsonl"], "`empty` is a mode of genir generate, not a prompt file"),
        (["stats", "there.jsonl", "--plot", "page.gif"], "page.gif: a plot ends in one of .png, .svg, .pdf"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(folder, capsys, arguments, message):
    (folder / "there.jsonl").write_text('{"prompt": "a lake"}\n')
    (folder / "bad.jsonl").write_text('{"prompt": "a lake"}\n{}\n')
    assert run(["prompts", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"genir: {message}")
    assert error.count("\n") == 1
    assert sorted(path.name for path in folder.iterdir()) == ["bad.jsonl", "there.jsonl"]


@pytest.mark.parametrize(
    ("library", "arguments", "message"),
    [
        (
            "rensa",
            ["dedupe", "a.txt", "-o", "b.jsonl"],
            "near-duplicates are found by rensa: pip install 'genir[prompts]'",
        ),
        (
            "matplotlib.figure",
            ["stats", "a.txt", "--plot", "b.png"],
            "a plot needs matplotlib: pip install 'genir[plot]'",
        ),
    ],
)
def test_a_missing_extra_is_named(folder, monkeypatch, capsys, library, arguments, message):
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, "genir.promptbank.dedupe", raising=False)
    (folder / "a.txt").write_text("a lake\n")
    assert run(["prompts", *arguments]) == 2
    assert capsys.readouterr().err == f"genir: {message}\n"
    assert [path.name for path in folder.iterdir()] == ["a.txt"]
