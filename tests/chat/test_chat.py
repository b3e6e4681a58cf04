"""Asking: answers are checked, asked for again, remembered; a broken server is one line and never a hang."""

from __future__ import annotations

import base64
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from fake_server import cut, dribble, dribbled_header, says, serving, silence, status

from genir.chat.ask import Chat, Failure, Question, parse_object
from genir.chat.server import Server
from genir.errors import ConfigError, ModelError

GOOD = says('{"caption": "a red lake"}')


def caption(text: str) -> str:
    return parse_object(text, {"caption": str})["caption"]


def chat(url: str, cache: Path | None = None, tries: int = 3, **options: Any) -> Chat:
    return Chat(Server(url, "small-vl", timeout=0.4, **options), cache, tries, pause=0.01)


def test_the_request_is_what_openai_compatible_servers_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret")
    images = (b"\x89PNG...", b"\xff\xd8jpeg")
    with serving(GOOD) as server:
        answers = chat(server.url, key_variable="MY_KEY").ask([Question("describe", images)], caption)
        ((path, headers, request),) = server.requests
    assert [answer.value for answer in answers] == ["a red lake"]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret"
    assert (request["model"], request["temperature"], request["max_tokens"]) == ("small-vl", 0, 512)
    (message,) = request["messages"]
    text, *pictures = message["content"]
    assert text == {"type": "text", "text": "describe"}
    for picture, kind, data in zip(pictures, ("png", "jpeg"), images, strict=True):
        assert picture["image_url"]["url"] == f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    "bad",
    [
        status(500, b"oops"),
        status(429, b"{}", Retry_After="0"),
        status(503),
        status(200, b"<html>gateway</html>"),
        status(200, b'{"choices": []}'),
        says(None),
        says("I see a lake."),
        says('{"caption": "a red la'),
        says('{"caption": 3}'),
        says('{"text": "a red lake"}'),
        cut,
        silence,
        dribble,
        dribbled_header,
    ],
)
def test_a_bad_answer_is_asked_for_again(bad: Any) -> None:
    begin = time.monotonic()
    with serving(bad, bad, GOOD) as server:
        (answer,) = chat(server.url).ask([Question("describe")], caption)
        assert len(server.requests) == 3
    assert (answer.value, answer.error) == ("a red lake", "")
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (says("I see a lake."), "the answer 'I see a lake.' holds no JSON object"),
        (says('{"caption": "a'), "holds a JSON object that is cut or malformed"),
        (says('{"caption": null}'), "has 'caption' of type NoneType, not str"),
        (status(400, b'{"error": {"message": "image\\ntoo large"}}'), "status 400: image too large"),
    ],
)
def test_a_question_that_cannot_be_answered_is_one_line(bad: Any, message: str) -> None:
    with serving(bad) as server:
        (answer,) = chat(server.url).ask([Question("describe")], caption)
        assert len(server.requests) == (1 if "400" in message else 3)
    assert answer.value is None
    assert message in answer.error
    assert "\n" not in answer.error


@pytest.mark.parametrize("bad", [silence, dribble, status(500), status(429), cut, status(200, b"junk")])
def test_a_server_that_never_works_stops_the_run_with_one_line(bad: Any) -> None:
    begin = time.monotonic()
    with serving(bad) as server, pytest.raises(ModelError) as caught:
        chat(server.url, tries=2).ask([Question(f"describe {n}") for n in range(3)], caption)
    assert str(caught.value).startswith("http://127.0.0.1:")
    assert "nor does a plain question work" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - begin < 10


def test_one_question_that_times_out_does_not_stop_the_others() -> None:
    def moody(handler: Any, request: dict[str, Any]) -> None:
        (silence if "poison" in json.dumps(request) else GOOD)(handler, request)

    with serving(moody) as server:
        questions = [Question("describe"), Question("poison"), Question("describe more")]
        answers = chat(server.url, tries=2).ask(questions, caption)
        assert chat(server.url, tries=1).ask([Question("poison")], caption)[0].value is None  # a plain one works
    assert [answer.value for answer in answers] == ["a red lake", None, "a red lake"]
    assert "no whole answer within 0.4 s" in answers[1].error


def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        with pytest.raises(ModelError, match="Connection refused"):
            chat(url, tries=2).ask([Question("describe")], caption)


@pytest.mark.parametrize(("code", "text"), [(401, "does not accept the key"), (404, "no such model or address")])
def test_what_no_question_can_mend_is_said_at_once(code: int, text: str) -> None:
    with serving(status(code, b"nope")) as server, pytest.raises(ModelError, match=text) as caught:
        chat(server.url).ask([Question("describe")], caption)
    assert "model small-vl" in str(caught.value)


def test_answers_come_in_the_order_of_the_questions_and_several_are_asked_at_once() -> None:
    def slow(handler: Any, request: dict[str, Any]) -> None:
        text = request["messages"][0]["content"][0]["text"]
        time.sleep(0.15 if text == "0" else 0.05)
        says(json.dumps({"caption": text}))(handler, request)

    begin = time.monotonic()
    with serving(slow) as server:
        answers = chat(server.url).ask([Question(str(n)) for n in range(16)], caption)
    assert [answer.value for answer in answers] == [str(n) for n in range(16)]
    assert time.monotonic() - begin < 0.7  # one after the other: 0.9


def test_an_answer_is_remembered_by_its_content(tmp_path: Path) -> None:
    with serving(GOOD) as server:
        for _ in range(2):
            assert chat(server.url, tmp_path).ask([Question("describe", (b"one",))], caption)[0].value == "a red lake"
        assert len(server.requests) == 1
        chat(server.url, tmp_path).ask([Question("describe", (b"two",))], caption)
        chat(server.url, tmp_path).ask([Question("describe more", (b"one",))], caption)
        chat(server.url, tmp_path, max_tokens=9).ask([Question("describe", (b"one",))], caption)
        assert len(server.requests) == 4


def test_junk_is_not_remembered_and_a_damaged_memory_is_asked_anew(tmp_path: Path) -> None:
    with serving(says("junk"), GOOD) as server:
        assert chat(server.url, tmp_path, tries=1).ask([Question("describe")], caption)[0].value is None
        assert chat(server.url, tmp_path, tries=1).ask([Question("describe")], caption)[0].value == "a red lake"
        (file,) = tmp_path.rglob("*.txt")
        file.write_text("half an ans")
        assert chat(server.url, tmp_path, tries=1).ask([Question("describe")], caption)[0].value == "a red lake"
        assert len(server.requests) == 3


def test_a_server_s_wish_to_wait_is_kept() -> None:
    with serving(status(429, b"", Retry_After="0.5"), GOOD) as server:
        begin = time.monotonic()
        assert chat(server.url).ask([Question("describe")], caption)[0].value == "a red lake"
    assert 0.5 <= time.monotonic() - begin < 3


def test_an_endless_answer_is_given_up() -> None:
    with serving(status(200, b" " * (5 << 20))) as server:
        (reply,) = Server(server.url, "m", timeout=5).answer([Question("describe")])
    assert isinstance(reply, Failure)
    assert "more than 4 MiB" in reply.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"caption": "x"}', "x"),
        ('```json\n{"caption": "x"}\n```', "x"),
        ('Here it is: {"caption": "x"} I hope {that} helps', "x"),
    ],
)
def test_words_around_the_object_are_ignored(text: str, value: str) -> None:
    assert caption(text) == value


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://a/v1", "http://", ""])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="expected http://host:port/v1"):
        Server(url, "m")


def test_a_key_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(ConfigError, match="NO_SUCH_KEY is not set"):
        Server("http://localhost/v1", "m", key_variable="NO_SUCH_KEY")
