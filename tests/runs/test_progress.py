"""What a person sees while a worker runs."""

import contextlib
import logging

from genir.runs.progress import log_to_file


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
