"""Where prompts/ and configs/ are found."""

from pathlib import Path

import pytest

from genir import resources
from genir.resources import locate

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_files_that_travel_with_genir_are_found_from_anywhere():
    assert locate("prompts/bank.jsonl") == REPOSITORY / "prompts/bank.jsonl"
    assert locate("./configs/quickstart.yaml") == REPOSITORY / "configs/quickstart.yaml"


def test_the_users_own_file_comes_first():
    Path("prompts").mkdir()
    Path("prompts/bank.jsonl").write_text("mine")
    assert locate("prompts/bank.jsonl") == Path("prompts/bank.jsonl")
    assert locate("prompts/README.md") == REPOSITORY / "prompts/README.md"


@pytest.mark.parametrize(
    "path", ["prompts/none.jsonl", "bank.jsonl", "genir/cli.py", "../prompts/bank.jsonl", "/prompts/bank.jsonl", "mine"]
)
def test_any_other_path_stays_as_the_user_wrote_it(path):
    assert locate(path) == Path(path)


def test_in_an_installed_wheel_the_packages_own_data_come_first(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "genir"
    (package / "_data" / "prompts").mkdir(parents=True)
    (package / "_data" / "prompts" / "bank.jsonl").write_text("")
    monkeypatch.setattr(resources, "PACKAGE", package)
    assert locate("prompts/bank.jsonl") == package / "_data/prompts/bank.jsonl"
    assert locate("prompts/other.jsonl") == Path("prompts/other.jsonl")
