"""Who am I, where do I run, was I asked to stop."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest

from genir import ranks
from genir.errors import ConfigError
from genir.ranks import EXIT_AGAIN, Worker, worker

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "3",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}
SRUN = {"SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_LOCALID": "1", "SLURM_JOB_ID": "7"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Worker()),
        ({"RANK": "1"}, Worker()),
        ({"WORLD_SIZE": "4"}, Worker()),
        (TORCHRUN, Worker(3, 8, 1, "accelerate")),
        ({**TORCHRUN, "ACCELERATE_MIXED_PRECISION": "no"}, Worker(3, 8, 1, "accelerate")),
        ({"RANK": "0", "WORLD_SIZE": "1"}, Worker(0, 1, 0, "accelerate")),
        (SRUN, Worker(5, 8, 1, "slurm")),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_LOCALID": "0"}, Worker()),  # an array job: alone
        ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "8"}, Worker()),  # salloc's shell, without srun
        ({**SRUN, **TORCHRUN}, Worker(3, 8, 1, "accelerate")),  # torchrun under srun
    ],
)
def test_the_worker_that_a_launcher_describes(environment, expected):
    assert worker(environment) == expected


def test_a_stopped_worker_asks_to_be_run_again_where_that_does_not_end_its_siblings():
    assert [worker(env).stopped_exit_code for env in ({}, SRUN, TORCHRUN)] == [EXIT_AGAIN, EXIT_AGAIN, 0]


def test_a_device_by_name():
    assert ranks.device("cpu", Worker()).type == "cpu"


@pytest.mark.parametrize("name", ["quantum", "cuda:99", "", "cpu:x"])
def test_a_device_that_is_not_here_is_one_line(name):
    with pytest.raises(ConfigError) as caught:
        ranks.device(name, Worker())
    assert str(caught.value).startswith(f"device {name!r} cannot be used here: ")
    assert str(caught.value).endswith("device=auto takes what there is")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("available", "expected"), [(False, "cpu"), (True, "cuda:1")])
def test_auto_takes_the_accelerator_of_the_local_rank(monkeypatch, available, expected):
    import torch

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: available)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 4)
    assert ranks.device("auto", Worker(13, 16, 5, "slurm")) == torch.device(expected)


@pytest.mark.parametrize(("name", "expected"), [("cuda", "cuda:1"), ("cuda:3", "cuda:3"), ("cpu", "cpu")])
def test_a_kind_of_device_without_a_number_is_the_local_rank_s(monkeypatch, name, expected):
    import torch

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 4)
    monkeypatch.setattr(torch, "zeros", lambda *shape, device: torch.ones(1))
    assert ranks.device(name, Worker(13, 16, 5, "slurm")) == torch.device(expected)


@pytest.mark.parametrize("launcher", ["accelerate", "alone"])
def test_accelerate_s_cpu_switch_is_obeyed_where_there_are_gpus(monkeypatch, launcher):
    import torch

    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 4)
    state = SimpleNamespace(device=torch.device("cuda:0"), destroy_process_group=lambda: None)
    monkeypatch.setattr("accelerate.PartialState", lambda: state)
    assert ranks.device("auto", Worker(1, 2, 1, launcher)) == torch.device("cpu")


PROGRAM = textwrap.dedent("""
    import os, signal, sys
    from genir.ranks import StopSignal

    stop = StopSignal()
    print("ready", stop(), flush=True)
    for line in sys.stdin:
        os.kill(os.getpid(), getattr(signal, line.strip()))
        print(stop(), stop.name, flush=True)
""")


@pytest.fixture
def program():
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def send(name):
        print(name, file=process.stdin, flush=True)
        return process.stdout.readline()

    with process:
        try:
            assert process.stdout.readline() == "ready False\n"
            yield process, send
        finally:
            process.kill()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR2", "SIGINT"])
def test_a_signal_asks_and_does_not_end_the_process(program, name):
    process, send = program
    assert send(name) == f"True {name}\n"
    if name != "SIGINT":
        assert send(name) == f"True {name}\n"
    process.stdin.close()
    assert process.wait() == 0


@pytest.mark.parametrize("first", ["SIGINT", "SIGTERM"])
def test_ctrl_c_after_the_first_request_interrupts(program, first):
    process, send = program
    assert send(first) == f"True {first}\n"
    assert send("SIGINT") == ""
    assert process.wait() == -signal.SIGINT
    assert "KeyboardInterrupt" in process.stderr.read()


def test_a_process_group_that_srun_started_says_run_again():
    by_srun = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "SLURM_PROCID": "1", "SLURM_NTASKS": "2"}
    assert ranks.worker(by_srun).stopped_exit_code == 75
    assert ranks.worker({**by_srun, "TORCHELASTIC_RUN_ID": "none"}).stopped_exit_code == 0
