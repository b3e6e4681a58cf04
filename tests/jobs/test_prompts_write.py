"""`genir prompts write` as a user runs it, against a chat server that misbehaves."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fake_server import cut, says, serving, silence, status

from genir.cli import run
from genir.jobs.prompts.write import _alone

CONFIG = "configs/prompts_write.yaml"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT)}
    yield tmp_path
    for number, handler in handlers.items():
        signal.signal(number, handler)


def lakes(count):
    records = ({"id": f"s{number}", "prompt": f"lake {number}", "category": "water"} for number in range(count))
    Path("a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def asked(request):
    (content,) = request["messages"][0]["content"]
    return [json.loads(line) for line in content["text"].splitlines() if line.startswith('{"id"')]


def good(handler, request):
    found = [{"id": line["id"], "texts": [f"{line['prompt']} under ice"]} for line in asked(request)]
    says(json.dumps({"prompts": found}))(handler, request)


def arguments(server, *more):
    chat = (f"chat.url={server.url}", "chat.model=m", "chat.timeout=0.5", "chat.tries=2", "chat.parallel=2")
    return ["prompts", "write", CONFIG, "prompts=a.jsonl", "out=b.jsonl", "batch=5", *chat, *more]


def read(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def whole(count):
    assert [record["prompt"] for record in read("b.jsonl")] == [f"lake {n} under ice" for n in range(count)]
    assert Path("b.removed.jsonl").read_bytes() == b""


def test_new_prompts_screened_with_their_schema(folder):
    lakes(12)
    with serving(good) as server:
        assert run(arguments(server)) == 0
        requests = [request for _, _, request in server.requests]
    whole(12)
    assert read("b.jsonl")[0]["tags"] == ["written"]
    assert len(requests) == 3
    assert requests[0]["temperature"] == 0.8
    assert requests[0]["response_format"]["json_schema"]["schema"]["required"] == ["prompts"]
    assert "No people" in requests[0]["messages"][0]["content"][0]["text"]
    assert sorted(path.name for path in folder.iterdir()) == ["a.jsonl", "b.chat", "b.jsonl", "b.removed.jsonl"]


def test_a_server_at_its_worst_costs_rows_not_the_job(capsys):
    """Time-outs, junk, cut answers, people, duplicates: every prompt ends as a line with its reason."""
    lakes(25)

    def moody(handler, request):
        lines = asked(request)
        if not lines:
            return says("yes")(handler, request)  # the plain question: the server lives
        first = int(lines[0]["prompt"].split()[1])
        if first < 5 and len(lines) > 1:  # 0..4: well alone, too slow together
            return silence(handler, request)
        if 5 <= first < 10:
            return says("As a large language model, I")(handler, request)
        if 10 <= first < 15:
            return cut(handler, request)
        text = {15: "a fisherman pulls his net", 20: "the same lake"}.get(first // 5 * 5)
        found = [{"id": line["id"], "texts": [text or f"{line['prompt']} under ice"]} for line in lines]
        return says(json.dumps({"prompts": found}))(handler, request)

    with serving(moody) as server:
        assert run(arguments(server)) == 0
    assert [record["prompt"] for record in read("b.jsonl")] == [f"lake {n} under ice" for n in range(5)] + [
        "the same lake"
    ]
    removed = read("b.removed.jsonl")
    assert [record["findings"][0]["reason"] for record in removed] == ["answer"] * 10 + ["people"] * 5 + [
        "duplicate"
    ] * 4
    assert [record["after"] for record in removed] == [f"lake {n}" for n in range(5, 25) if n != 20]
    assert "holds no JSON object" in removed[0]["findings"][0]["what"]
    assert removed[10]["prompt"] == "a fisherman pulls his net"


def test_a_server_without_schemas_is_asked_without(caplog):
    lakes(12)

    def old(handler, request):
        (status(400, b'{"error": "response_format?"}') if "response_format" in request else good)(handler, request)

    with serving(old) as server:
        assert run(arguments(server, "chat.parallel=1")) == 0
        assert len(server.requests) == 4  # the schema is tried once
    whole(12)
    assert "takes no JSON Schema" in caplog.text


def test_a_dead_server_is_one_line_and_what_was_answered_is_not_asked_again(capsys):
    lakes(80)
    with serving(*[good] * 8, status(503)) as server:
        assert run(arguments(server, "chat.tries=1")) == 2
    error = capsys.readouterr().err
    assert "nor does a plain question work: mend it and run the same command again" in error
    assert not Path("b.jsonl").exists()
    with serving(good) as server:
        assert run(arguments(server, "chat.tries=1")) == 0
        assert len(server.requests) == 8
    whole(80)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_same_command_goes_on_after_a_stop(number):
    lakes(200)
    half = threading.Event()

    def slow(handler, request):
        time.sleep(0.03)
        if "lake 100" in json.dumps(request):
            half.set()
        good(handler, request)

    with serving(slow) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "genir", *arguments(server)], stderr=subprocess.PIPE, text=True
        )
        assert half.wait(60)
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
        assert process.returncode == (75 if number == signal.SIGTERM else -9), error
        assert not Path("b.jsonl").exists()
        before = len(server.requests)
        assert run(arguments(server)) == 0
        assert len(server.requests) <= 40 + 4  # at most what was in flight is asked again
        assert before < 40
    whole(200)


def test_two_writers_of_one_file(capsys):
    lakes(5)
    with serving(good) as server, _alone(Path("b.chat")):
        assert run(arguments(server)) == 2
        assert server.requests == []
    assert "b.chat: another genir prompts write is at work on it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["prompts=none.jsonl"], "none.jsonl: no such prompt file"),
        (["prompts=bad.jsonl"], "bad.jsonl line 2: not valid JSON"),
        (["prompts=empty"], "`empty` is a mode of genir generate"),
        (["out=a.jsonl"], "a.jsonl: is there already"),
        (["instruction=none.txt"], "instruction none.txt: cannot be read"),
        (["instruction=blank.txt"], "instruction blank.txt: is empty"),
        (["chat.url=ftp://x"], "chat url 'ftp://x': expected http://"),
        (["chat.key=NO_SUCH_KEY"], "chat key: the environment variable NO_SUCH_KEY is not set"),
        (["variants=0"], "variants"),
    ],
)
def test_mistakes_are_told_before_anything_is_asked(capsys, more, message):
    lakes(3)
    Path("bad.jsonl").write_text('{"prompt": "a lake"}\n{"prompt": \n')
    Path("blank.txt").write_text(" \n")
    with serving(good) as server:
        assert run([*arguments(server), *more]) == 2
        assert server.requests == []
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
