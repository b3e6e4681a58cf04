"""The command line as a user sees it: exit codes, one line for a mistake, nothing heavy for --help."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

import genir
from genir import cli
from genir.errors import ConfigError

ROOT = Path(__file__).parents[1]
HEAVY = ["torch", "diffusers", "transformers", "accelerate", "pyarrow", "numpy", "PIL", "pydantic", "yaml"]


def python(*arguments, folder=ROOT, **options):
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def test_importing_the_command_line_imports_nothing_heavy():
    code = f"import sys, genir.cli, genir.__main__; print([name for name in {HEAVY} if name in sys.modules])"
    assert python("-c", code).stdout == "[]\n"


def test_help_names_every_command():
    done = python("-m", "genir", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    commands = "generate prepare degrade learn export-dual status score calibrate select verify regenerate quickstart"
    for text in (*commands.split(), "Exit codes: 0 done, 2 user error, 75 stopped"):
        assert text in done.stdout


def test_version():
    done = python("-m", "genir", "--version")
    assert (done.returncode, done.stdout) == (0, f"genir {genir.__version__}\n")


@pytest.mark.parametrize("arguments", [["paint"], [], ["generate"], ["generate", "c.yaml", "--fast"], ["status"]])
def test_a_command_that_is_not_understood(arguments):
    done = python("-m", "genir", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: genir" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", "none.yaml"], "none.yaml: no such config file; genir's own are configs/*.yaml"),
        (["generate", "c.yaml", "stpes=3"], "override 'stpes=3': unknown key stpes; did you mean steps?"),
        (["generate", "c.yaml", "--dry-run", "steps=0"], "override 'steps=0': steps = 0: input should be greater than"),
        (["verify", "here", "device=cpu"], "verify: 'device=cpu' has a meaning only with --repair; leave it out"),
        (["regenerate", "here", "--key", "000000000"], "here: no genir run there (no plan.json)"),
        (["export-dual", "none.safetensors", "here"], "dual prompt none.safetensors: cannot be read"),
        (["status", "here"], "here: no genir run there (no plan.json)"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(tmp_path, arguments, message):
    (tmp_path / "c.yaml").write_text("steps: 3\n")
    done = python("-m", "genir", *arguments, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"genir: {message}")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["c.yaml"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["c.yaml", "steps=3", "batch=2", "--dry-run"],
        ["c.yaml", "--dry-run", "steps=3", "batch=2"],
        ["c.yaml", "steps=3", "--dry-run", "batch=2"],
        ["--dry-run", "c.yaml", "steps=3", "batch=2"],
    ],
)
def test_overrides_may_stand_before_and_after_an_option(arguments):
    options = cli._parse(["generate", *arguments])
    assert (options.config, options.overrides, options.dry_run) == ("c.yaml", ["steps=3", "batch=2"], True)


@pytest.mark.parametrize(
    "arguments", [["status", "a", "b"], ["generate", "c.yaml", "steps=3", "--dryrun"], ["quickstart", "a", "b"]]
)
def test_what_is_left_over_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli._parse(arguments)
    assert caught.value.code == 2
    assert "unrecognized arguments" in capsys.readouterr().err


def raising(error):
    def command(options):
        raise error

    return command


@pytest.fixture
def _quiet(monkeypatch):
    monkeypatch.setattr(cli.logging, "basicConfig", lambda **options: None)
    for name in ("TRANSFORMERS_VERBOSITY", "DIFFUSERS_VERBOSITY", "HF_HUB_VERBOSITY"):
        monkeypatch.setenv(name, "error")


@pytest.mark.usefixtures("_quiet")
@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (ConfigError("steps = 0: no"), 2, "genir: steps = 0: no\n"),
        (KeyboardInterrupt(), 130, "genir: interrupted\n"),
    ],
)
def test_the_exit_code_of_an_error(monkeypatch, capsys, error, code, text):
    monkeypatch.setattr(cli, "_parse", lambda arguments: argparse.Namespace(command=raising(error)))
    assert cli.run([]) == code
    assert capsys.readouterr().err == text


@pytest.mark.usefixtures("_quiet")
def test_a_bug_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(cli, "_parse", lambda arguments: argparse.Namespace(command=raising(ZeroDivisionError())))
    with pytest.raises(ZeroDivisionError):
        cli.run([])


def test_a_reader_that_goes_away_is_no_error():
    code = "import sys\nfrom genir import cli\ncli.status._run = lambda options: (print('x' * 10**6), 0)[1]\n"
    process = subprocess.Popen(
        [sys.executable, "-c", code + "sys.exit(cli.run(['status', 'here']))"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait() == 0
    assert process.stderr is not None
    with process.stderr as errors:
        assert errors.read() == ""
