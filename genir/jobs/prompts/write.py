"""`genir prompts write`: a language model varies and enriches prompts; the same command goes on."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from genir import ranks, storage
from genir.chat.ask import Chat
from genir.errors import ConfigError, PromptError, Stopped
from genir.jobs.prompts.output import jsonl, prompt_files, refuse_existing, removed_beside, writing
from genir.promptbank.screen import Screen
from genir.promptbank.write import Writer, Written
from genir.promptrecord import json_line
from genir.resources import locate
from genir.runs.build import chat_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from genir.config.prompts import Write

log = logging.getLogger("genir")

ROUND = 4  # questions of each parallel request between two looks at the stop signal
REPORT_S = 30.0


def write(config: Write) -> int:
    """Ask, screen and write; returns the exit code: 0, or 75 after a stop.

    Raises:
        PromptError: an unusable record, or an output file that is there already.
        ConfigError: no instruction, no such server.
        ModelError: the model answers nothing at all; what it did answer is kept.
    """
    out = jsonl(config.out)
    removed, answers = removed_beside(out), out.with_suffix(".chat")
    refuse_existing(out, removed)
    prompts, instruction = prompt_files(config.prompts), _instruction(config.instruction)
    prompts.check()
    count = prompts.count if config.limit is None else min(config.limit, prompts.count)
    stop, counts, done, told = ranks.StopSignal(), Counter[str](), 0, time.monotonic()
    with _alone(answers):
        model = chat_model(config.chat, lambda: ranks.device("auto", ranks.worker()))
        chat = Chat(model, answers, config.chat.tries)
        writer = Writer(chat, config.chat.model, instruction, Screen(), config.variants, config.batch)
        log.info("%d prompts to start from, %d questions", count, -(-count // config.batch))
        with contextlib.suppress(Stopped), writing(out) as file, writing(removed) as rest:
            sources, at_once = prompts.read(0, count), config.batch * config.chat.parallel * ROUND
            while some := list(islice(sources, at_once)):
                if stop():
                    raise Stopped
                for written in writer.write(some):
                    counts[written.findings[0].reason if written.findings else "kept"] += 1
                    (rest if written.findings else file).write(_line(written).encode())
                done += len(some)
                if time.monotonic() - told > REPORT_S:
                    told = time.monotonic()
                    log.info("%d of %d prompts asked about, %d new ones kept", done, count, counts["kept"])
    if done < count:
        log.info("stopped by %s at prompt %d of %d; the same command goes on from here", stop.name, done, count)
        return ranks.EXIT_AGAIN
    log.info("%d new prompts in %s", counts.pop("kept", 0), out)
    if counts:
        reasons = ", ".join(f"{reason} {number}" for reason, number in counts.most_common())
        log.info("%d refused or missing, with their reasons, in %s: %s", counts.total(), removed, reasons)
    log.info("the model's answers stay in %s; remove it when you need them no more", answers)
    return 0


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Make the folder of the answers, and keep a second writer of the same file from paying for the same answers."""
    with storage.explained(folder):
        folder.mkdir(exist_ok=True)
        lock = storage.try_lock(folder / "lock")
    if lock is None:
        raise PromptError(f"{folder}: another genir prompts write is at work on it; wait for it or choose another out")
    try:
        yield
    finally:
        os.close(lock)


def _instruction(name: str) -> str:
    path = locate(name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"instruction {name}: cannot be read: {error}") from None
    if not text.strip():
        raise ConfigError(f"instruction {name}: is empty; genir's own is prompts/write_instruction.txt")
    return text


def _line(written: Written) -> str:
    if written.prompt is not None and not written.findings:
        return json_line(written.prompt)
    source = written.source
    record = {
        "prompt": "" if written.prompt is None else written.prompt.text,
        "id": source.id,
        "category": source.category,
        "after": source.text,
        "findings": [{"reason": finding.reason, "what": finding.what} for finding in written.findings],
    }
    return json.dumps(record, ensure_ascii=False) + "\n"
