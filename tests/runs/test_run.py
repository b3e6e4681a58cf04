"""Places that cannot be a run directory, and what env.json says of later launches."""

import json

import pytest

from genir.errors import ShardError
from genir.plan import Plan
from genir.ranks import Worker
from genir.records import Prompt
from genir.runs.run import is_planned, open_run


class Prompts:
    count = 4

    def read(self, start, stop):
        return (Prompt(f"prompt {index}") for index in range(start, stop))


def opened(root, env=None):
    plan = Plan(Prompts(), 0, 1, ((8, 8),), 2, 4)
    return open_run(root, plan, {"key": "string"}, {}, {}, env, Worker())


@pytest.mark.parametrize("place", ["file/run", "dangling/run", "dangling", "x" * 300])
def test_a_place_that_cannot_be_a_run_directory_is_one_line(tmp_path, place):
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "purged")
    with pytest.raises(ShardError, match=r"\(run=\.\.\.\)$") as caught:
        is_planned(tmp_path / place) or opened(tmp_path / place)
    assert "\n" not in str(caught.value)


def test_other_hardware_is_noted_once_although_a_resume_looks_twice(tmp_path, caplog):
    opened(tmp_path / "run", {"device": "A", "licence": "l"})
    for _ in range(2):
        opened(tmp_path / "run", None)  # before the model is loaded
        opened(tmp_path / "run", {"device": "B", "licence": "l"})
    env = json.loads((tmp_path / "run" / "env.json").read_bytes())
    assert [later["device"] for later in env["later_launches"]] == ["B"]
    assert len(caplog.records) == 1
