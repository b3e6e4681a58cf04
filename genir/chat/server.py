"""An OpenAI-compatible server (`POST <url>/chat/completions`), such as vLLM, SGLang, llama.cpp or a provider's.

The standard library's client, because a limit is needed that no HTTP library of Python gives: the whole request, not
each read, ends after `timeout` seconds, even where a server sends a byte now and then for ever.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from genir.chat.ask import Failure, Question
from genir.errors import ConfigError, ModelError

log = logging.getLogger("genir")

_HOPELESS = {
    401: "the server does not accept the key",
    403: "the server does not allow this",
    404: "the server has no such model or address",
}
_UNKNOWN_KEY = {400, 422}
_LATER = {408, 409, 425, 429, *range(500, 600)}
_LARGEST = 4 << 20  # bytes of an answer
_KINDS = ((b"\x89PNG", "png"), (b"RIFF", "webp"), (b"\xff\xd8", "jpeg"))


class Server:
    """Asks `parallel` questions at a time; every one ends within `timeout` seconds."""

    def __init__(
        self,
        url: str,
        model: str,
        key_variable: str = "",
        timeout: float = 60.0,
        parallel: int = 8,
        max_tokens: int = 512,
        temperature: float = 0.0,
    ) -> None:
        """Nothing is sent yet.

        Args:
            url: up to and with the version: http://localhost:8000/v1.
            model: name that the server knows.
            key_variable: environment variable that holds the key; "" sends none. The key is stored nowhere.
            timeout: seconds for a whole request.
            parallel: questions at a time.
            max_tokens: of an answer.
            temperature: 0 asks for the likeliest answer, higher ones for variety.

        Raises:
            ConfigError: not an http(s) address, or the variable is not set.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"chat url {url!r}: expected http://host:port/v1 or https://...")
        key = os.environ.get(key_variable, "") if key_variable else ""
        if key_variable and not key:
            raise ConfigError(f"chat key: the environment variable {key_variable} is not set")
        self._parts, self._path = parts, f"{parts.path.rstrip('/')}/chat/completions"
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._model, self._timeout, self._parallel, self._max_tokens = model, timeout, parallel, max_tokens
        self._temperature, self._takes_schemas = temperature, True
        self.identity, self.is_told = json.dumps([model, max_tokens, temperature]), True

    def answer(self, questions: Sequence[Question]) -> Iterator[str | Failure]:
        """One text or failure a question, in order, as they come: what was paid for is not lost with a later one.

        Raises ModelError when the server refuses the key, the model or the address.
        """
        with ThreadPoolExecutor(max(1, min(self._parallel, len(questions)))) as pool:
            yield from pool.map(self._ask, questions)

    def _ask(self, question: Question) -> str | Failure:
        begin = time.monotonic()
        try:
            status, headers, body = self._post(self._request(question))
            if status in _UNKNOWN_KEY and question.schema and self._takes_schemas:
                status, headers, body = self._post(self._request(replace(question, schema="")))
                if status == 200 and self._takes_schemas:
                    self._takes_schemas = False
                    log.warning("%s: takes no JSON Schema (response_format); asked without it", self._where)
        except (OSError, http.client.HTTPException, ValueError) as error:
            late = time.monotonic() - begin >= self._timeout
            reason = f"no whole answer within {self._timeout:g} s" if late else str(error) or type(error).__name__
            return Failure(f"{self._where}: {' '.join(reason.split())[:200]}", again=True, at_fault=True)
        if status in _HOPELESS:
            raise ModelError(f"{self._where}: {_HOPELESS[status]} ({status}, model {self._model}): {_words(body)}")
        if status != 200:
            later = status in _LATER
            return Failure(f"{self._where}: status {status}: {_words(body)}", later, later, _seconds(headers))
        try:
            text = json.loads(body)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError, RecursionError):
            return Failure(f"{self._where}: not an answer of a chat server: {_words(body)}", True, True)
        return text if isinstance(text, str) else Failure(f"{self._where}: an answer without text", again=True)

    def _request(self, question: Question) -> bytes:
        content: list[dict[str, Any]] = [{"type": "text", "text": question.text}]
        for image in question.images:
            kind = next((name for magic, name in _KINDS if image.startswith(magic)), "png")
            address = f"data:image/{kind};base64,{base64.b64encode(image).decode()}"
            content.append({"type": "image_url", "image_url": {"url": address}})
        request: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": self._max_tokens,
            "temperature": self._temperature,
        }
        if question.schema and self._takes_schemas:
            form = {"name": "answer", "strict": True, "schema": json.loads(question.schema)}
            request["response_format"] = {"type": "json_schema", "json_schema": form}
        return json.dumps(request).encode()

    def _post(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        secure = self._parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=self._timeout)
        with contextlib.closing(connection):
            connection.connect()
            watchdog = threading.Timer(self._timeout, _hang_up, [connection.sock])
            watchdog.daemon = True
            watchdog.start()
            try:
                connection.request("POST", self._path, body, self._headers)
                response = connection.getresponse()
                content = response.read(_LARGEST + 1)
                if len(content) > _LARGEST:
                    raise ValueError(f"an answer of more than {_LARGEST >> 20} MiB")
                return response.status, dict(response.headers), content
            finally:
                watchdog.cancel()


def _hang_up(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # wakes the reader, also inside of TLS


def _seconds(headers: Mapping[str, str]) -> float:
    try:
        return max(0.0, float(headers.get("Retry-After", 0)))
    except ValueError:  # a date
        return 0.0


def _words(body: bytes) -> str:
    """The server's own words, on one short line."""
    text = body.decode("utf-8", errors="replace")
    with contextlib.suppress(ValueError, TypeError, LookupError, RecursionError):
        text = str(json.loads(text)["error"]["message"])
    return " ".join(text.split())[:120] or "no words"
