"""A SLURM of one node for the tests: munge, controller and node daemon on 127.0.0.1, all files in one folder.

Debian and Ubuntu: apt-get install slurm-wlm munge. Nothing of a SLURM that the machine may have is touched.
"""

import contextlib
import getpass
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

CONFIG = """\
ClusterName=genir
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
GresTypes=gpu
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs=64 RealMemory=1000000 Gres=gpu:8
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE
"""


class Slurm:
    """Use as a context manager; `submit` and `show` are what a user does."""

    def __init__(self, folder):
        self.folder, self.environment = folder, {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    @staticmethod
    def missing():
        """Why it cannot be started here; empty if it can."""
        names = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if not shutil.which(name, path=_PATH)]
        if names:
            return f"no {', '.join(names)} here (apt-get install slurm-wlm munge)"
        return "" if os.geteuid() == 0 else "the node daemon of SLURM must be started by root"

    def __enter__(self):
        host, user = socket.gethostname().partition(".")[0], getpass.getuser()
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        (self.folder / "slurm.conf").write_text(
            CONFIG.format(host=host, user=user, folder=self.folder, ports=_free_ports(2))
        )
        (self.folder / "gres.conf").write_text("Name=gpu File=/dev/tty[0-7]\n")  # only counted, never opened
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(1024))
        files = {name: self.folder / f"munge.{name}" for name in ("socket", "seed")}
        self._do(
            *("munged", "--force", "--key-file", key, "--socket", files["socket"], "--seed-file", files["seed"]),
            *("--pid-file", self.folder / "munged.pid", "--log-file", self.folder / "munged.log"),
        )
        self._do("slurmctld", "-f", self.folder / "slurm.conf")
        self._do("slurmd", "-f", self.folder / "slurm.conf")
        if _wait(lambda: "idle" in self._do("sinfo", "--noheader", "--format=%T", check=False)):
            return self
        logs = "\n".join(path.read_text()[-1000:] for path in self.folder.glob("*.log"))
        self.__exit__()
        raise RuntimeError(f"SLURM did not come up:\n{logs}")

    def __exit__(self, *exception):
        self._do("scancel", "--user", getpass.getuser(), check=False)  # jobs first: they outlive the daemons
        _wait(lambda: not self._do("squeue", "--noheader", check=False))
        pids = [int(path.read_text()) for path in self.folder.glob("*.pid")]
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            _wait(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))

    def submit(self, script, *arguments, options=(), environment=None):
        """sbatch; returns the number of the job."""
        text = self._do("sbatch", *options, script, *arguments, environment=environment)
        return re.search(r"Submitted batch job (\d+)", text)[1]

    def signal(self, job, name):
        self._do("scancel", f"--signal={name}", job)

    def show(self, job):
        """What SLURM knows of a job: JobState, Restarts, ExitCode, ..."""
        return dict(re.findall(r"(\w+)=(\S*)", self._do("scontrol", "show", "job", job)))

    def _do(self, *command, check=True, environment=None):
        environment = {**self.environment, **(environment or {})}
        environment["PATH"] += os.pathsep + _PATH
        done = subprocess.run(
            [str(word) for word in command], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        if check and done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stdout}{done.stderr}")
        return done.stdout


_PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])  # daemons are not on every user's path


def _wait(condition):
    """Half a minute at most; was it met?"""
    for _ in range(300):
        if condition():
            return True
        time.sleep(0.1)
    return False


def _free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]
