"""What a person sees while a worker runs."""

import contextlib
import io
import json
import logging
import time

import pytest
from processes import forked

from genir import ranks
from genir.cli.screen import Screen
from genir.runs import meter, progress
from genir.runs.meter import Meter
from genir.runs.progress import Progress, log_to_file
from genir.runs.run import Run
from genir.runs.tally import Tally


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def told(tmp_path, monkeypatch):
    """What the screen and the log file of a worker hold, as functions; every line is due at once."""
    monkeypatch.setattr(meter, "LINE_EVERY", 0.0)
    log, screen = logging.getLogger("genir"), Screen(io.StringIO())
    monkeypatch.setattr(log, "handlers", [screen])
    monkeypatch.setattr(log, "propagate", False)
    before = log.level
    log.setLevel(logging.INFO)
    log_to_file(tmp_path, "worker")
    file = log.handlers[-1]
    yield screen.stream.getvalue, (tmp_path / "logs/worker.log").read_text
    file.close()
    log.setLevel(before)


def test_elsewhere_a_line_tells_how_far_it_is(told):
    with Meter(200, "pair") as show:
        time.sleep(0.01)
        show(50, "40 kept")
    for text in told:
        assert "50 of about 200 pairs, " in text()
        assert "/s, " in text()
        assert " left, 40 kept" in text()


def test_on_a_terminal_there_is_one_bar_and_the_log_stands_above_it(told, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with Meter(200, "pair") as show:
        show(50, "40 kept")
        show(120, "90 kept")
    assert "120/200" in terminal.getvalue().rpartition("\r")[2]
    assert " pairs/s" in terminal.getvalue()
    screen, file = (text() for text in told)
    assert screen == ""
    assert file.count("of about 200 pairs") == 2, "the file has the lines in either case"


def test_of_several_workers_one_is_on_the_screen(told):
    with Meter(200, "pair", on_screen=False) as show:
        show(50)
    screen, file = (text() for text in told)
    assert (screen, file.count("50 of about 200")) == ("", 1)


def test_a_line_of_the_log_leaves_the_bar_whole():
    terminal = Terminal()
    screen = Screen(terminal)
    bar = meter.tqdm(total=3, file=terminal)
    screen.emit(logging.makeLogRecord({"msg": "a word"}))
    bar.close()
    before, _, after = terminal.getvalue().partition("a word\n")
    assert before.endswith("\r"), "the bar was taken away"
    assert "0/3" in after, "and drawn again"


def test_all_workers_of_a_run_are_shown_as_one(told, tmp_path, monkeypatch):
    """Two others, one of them of an earlier launch, which had judged 100 before."""
    monkeypatch.setattr(progress, "BEAT_EVERY", 0.0)
    root = tmp_path / "run"
    code, _ = forked(root, prompts=4, shard_size=4, batch=2)
    assert code == 0
    (root / "stats").mkdir(exist_ok=True)

    def write(name, judged, kept):
        facts = {"host": "h", "pid": 1, "heartbeat": time.time(), "ended": False, "seconds": 1.0}
        (root / "stats" / f"{name}.json").write_text(json.dumps({**facts, "judged": judged, "kept": kept}))

    write("earlier", 100, 90)
    run = Run(root, None, {}, "", ranks.Worker(rank=0, world=2))
    with Progress(run, "mine", 500) as show:
        write("earlier", 110, 95)
        write("beside", 20, 10)
        show(Tally(judged=7, kept=6))
    assert "37 of about 1000 images" in told[0]()
    assert "21 kept" in told[0]()


def test_a_log_that_cannot_be_written_is_no_traceback_on_the_screen(tmp_path, capfd):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "worker.log").symlink_to("/dev/full")
    log = logging.getLogger("genir")
    before = list(log.handlers)
    log_to_file(tmp_path, "worker")
    log.error("8 images")
    (ours,) = set(log.handlers) - set(before)
    log.removeHandler(ours)
    with contextlib.suppress(OSError):
        ours.close()
    assert "Traceback" not in capfd.readouterr().err
