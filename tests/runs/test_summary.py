"""What is no run is said in one line."""

import pytest

from genir.errors import PlanError
from genir.runs.summary import summarise


@pytest.mark.parametrize("content", ["{}", "x{", "[]", '{"tasks": 3, "shards": "many"}'])
def test_another_program_s_plan_is_one_line(tmp_path, content):
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(PlanError, match=r"plan\.json: not the plan of a genir run") as caught:
        summarise(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_damaged_goal_is_one_line(dummy):
    dummy.run("run", prompts=8)
    for content in ("", "[]", '{"limit": 3}'):
        (dummy.folder / "run" / "goal.json").write_text(content)
        with pytest.raises(PlanError, match=r"goal\.json: cannot be read; delete it") as caught:
            summarise(dummy.folder / "run")
        assert "\n" not in str(caught.value)


def test_files_of_others_between_the_shards_do_no_harm(dummy):
    dummy.run("run", prompts=8)
    for name in ("notes.journal", "._000000.journal"):
        (dummy.folder / "run" / "image" / name).write_text("mine")
    assert summarise(dummy.folder / "run").done == 8


def test_a_file_is_no_run(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PlanError, match=r"file: no genir run there"):
        summarise(tmp_path / "file")
