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


def test_a_file_is_no_run(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PlanError, match=r"file: no genir run there"):
        summarise(tmp_path / "file")
