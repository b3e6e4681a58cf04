"""Files that are whole or absent, locks that a kill frees, and disk faults in one line."""

import contextlib
import errno
import fcntl
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from genir import storage
from genir.errors import ShardError

ROOT = Path(__file__).parents[1]


@contextlib.contextmanager
def child(code, *arguments):
    """A Python process with `storage` imported; it is killed at the end."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, os\nfrom pathlib import Path\nfrom genir import storage\n" + code,
            *arguments,
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        with process:
            yield process
    finally:
        process.kill()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_write_creates_and_replaces(tmp_path):
    for data in (b"one", b"another", b""):
        storage.write(tmp_path / "file", data)
        assert (tmp_path / "file").read_bytes() == data
    assert names(tmp_path) == ["file"]


def test_append_goes_on_after_a_short_write(tmp_path, monkeypatch):
    written, real = [], os.write

    def short(fd, data):
        written.append(real(fd, bytes(data)[:3]))
        return written[-1]

    monkeypatch.setattr(storage.os, "write", short)
    storage.write(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"
    assert written == [3, 3, 3, 1]


@pytest.mark.parametrize("change", [storage.write, storage.publish])
def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, change):
    storage.write(tmp_path / "file", b"old")

    def full(fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        change(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_the_data_are_safe_before_the_name_is(tmp_path, monkeypatch):
    calls = []

    def counted(name, real):
        return lambda *arguments: (calls.append(name), real(*arguments))[1]

    for name in ("write", "fsync", "replace", "link", "unlink"):
        monkeypatch.setattr(storage.os, name, counted(name, getattr(os, name)))
    storage.write(tmp_path / "a", b"1")
    assert calls == ["write", "fsync", "replace", "fsync"]
    calls.clear()
    storage.publish(tmp_path / "b", b"1")
    assert calls == ["write", "fsync", "link", "unlink", "fsync"]


def test_publish_once(tmp_path):
    assert storage.publish(tmp_path / "plan", b"first")
    assert not storage.publish(tmp_path / "plan", b"second")
    assert (tmp_path / "plan").read_bytes() == b"first"
    assert names(tmp_path) == ["plan"]


def test_among_racing_processes_one_publishes_and_all_see_it_whole(tmp_path):
    code = textwrap.dedent("""
        print("ready", flush=True)
        sys.stdin.read()
        data = sys.argv[2].encode() * 100_000
        won = [storage.publish(Path(sys.argv[1]) / str(number), data) for number in range(20)]
        whole = [len((Path(sys.argv[1]) / str(number)).read_bytes()) == 100_000 for number in range(20)]
        print("".join("x" if mine else "-" for mine in won), all(whole))
    """)
    with contextlib.ExitStack() as stack:
        racers = [stack.enter_context(child(code, str(tmp_path), name)) for name in "abcd"]
        for racer in racers:
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            racer.stdin.close()
        said = [racer.stdout.read().split() for racer in racers]
    assert [whole for _, whole in said] == ["True"] * 4
    for number, winners in enumerate(zip(*(won for won, _ in said), strict=True)):
        assert winners.count("x") == 1
        assert (tmp_path / str(number)).read_bytes()[:1].decode() == "abcd"[winners.index("x")]
    assert len(names(tmp_path)) == 20


def test_share_gives_one_file_two_names(tmp_path):
    part, tar = tmp_path / "part", tmp_path / "tar"
    part.write_bytes(b"pixels")
    storage.share(part, tar)
    assert tar.samefile(part)
    storage.share(part, tar)  # again, as after a crash
    assert names(tmp_path) == ["part", "tar"]


def test_share_replaces_another_file_without_a_moment_of_absence(tmp_path, monkeypatch):
    part, tar = tmp_path / "part", tmp_path / "tar"
    part.write_bytes(b"new")
    tar.write_bytes(b"old")
    monkeypatch.setattr(storage.os, "unlink", None)  # calling it would fail
    storage.share(part, tar)
    assert tar.samefile(part)
    assert (names(tmp_path), tar.read_bytes()) == (["part", "tar"], b"new")


def test_truncate_stands_at_the_new_end(tmp_path):
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        storage.append(fd, b"0123456789")
        storage.truncate(fd, 4)
        storage.append(fd, b"x")
    finally:
        os.close(fd)
    assert (tmp_path / "file").read_bytes() == b"0123x"


def test_remove_does_not_mind_that_nothing_is_there(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    storage.remove(tmp_path / "file")
    storage.remove(tmp_path / "file")
    assert names(tmp_path) == []


def test_set_aside_never_overwrites(tmp_path):
    aside = []
    for number in range(3):
        (tmp_path / "shard.tar").write_bytes(bytes([number]))
        aside.append(storage.set_aside(tmp_path / "shard.tar"))
    assert [path.name for path in aside] == ["shard.tar.bad", "shard.tar.bad2", "shard.tar.bad3"]
    assert [path.read_bytes() for path in aside] == [b"\0", b"\1", b"\2"]
    assert not (tmp_path / "shard.tar").exists()


HOLD = textwrap.dedent("""
    fd = storage.try_lock(Path(sys.argv[1]))
    print("held" if fd is not None else "refused", flush=True)
    sys.stdin.read()
""")


def test_a_lock_excludes_another_process_and_a_kill_frees_it(tmp_path):
    path = tmp_path / "part"
    with child(HOLD, str(path)) as holder:
        assert holder.stdout.readline() == "held\n"
        assert storage.try_lock(path) is None
        with child(HOLD, str(path)) as other:
            assert other.stdout.readline() == "refused\n"
        holder.kill()
        holder.wait()
        fd = storage.try_lock(path)
        assert fd is not None
        with child(HOLD, str(path)) as other:
            assert other.stdout.readline() == "refused\n"
        os.close(fd)
        fd = storage.try_lock(path)
        assert fd is not None
        os.close(fd)


def test_a_lock_is_not_inherited_by_a_program_we_start(tmp_path):
    fd = storage.try_lock(tmp_path / "part")
    assert fd is not None
    with child("print('ready', flush=True)\nsys.stdin.read()") as bystander:
        bystander.stdout.readline()
        os.close(fd)
        again = storage.try_lock(tmp_path / "part")
        assert again is not None
        os.close(again)


def test_a_lock_keeps_the_content(tmp_path):
    (tmp_path / "part").write_bytes(b"pixels")
    fd = storage.try_lock(tmp_path / "part")
    assert fd is not None
    os.close(fd)
    assert (tmp_path / "part").read_bytes() == b"pixels"


@pytest.mark.parametrize("successor", [False, True])
def test_a_lock_on_a_file_that_its_holder_removed_meanwhile_does_not_count(tmp_path, monkeypatch, successor):
    """We open the file, its holder removes it and ends, and a third process may already hold a new one."""
    path, real, others = tmp_path / "part", fcntl.flock, []

    def after_removal(fd, operation):
        if not others:
            path.unlink()
            others.append(os.open(path, os.O_RDWR | os.O_CREAT) if successor else -1)
            if successor:
                real(others[0], operation)
        real(fd, operation)

    monkeypatch.setattr(storage.fcntl, "flock", after_removal)
    fd = storage.try_lock(path)
    if successor:
        assert fd is None
        os.close(others[0])
    else:
        assert fd is not None
        assert os.path.samestat(os.fstat(fd), path.stat())
        os.close(fd)


def test_locks_work_here(tmp_path):
    storage.check_locks(tmp_path)
    assert names(tmp_path) == []


def pretend(monkeypatch, error):
    def flock(fd, operation):
        if error:
            raise OSError(error, os.strerror(error))

    monkeypatch.setattr(storage.fcntl, "flock", flock)


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, 0])
def test_a_file_system_whose_locks_fail_or_do_nothing_is_refused(tmp_path, monkeypatch, error):
    pretend(monkeypatch, error)
    with pytest.raises(ShardError, match=r"no working file locks \(flock\).*choose a run directory on another"):
        storage.check_locks(tmp_path)
    assert names(tmp_path) == []


def test_containers_of_one_host_name_and_process_number_do_not_meet(tmp_path, monkeypatch):
    real = storage._write_new

    def other_first(path, data):
        monkeypatch.setattr(storage, "_write_new", real)
        storage.check_locks(tmp_path)
        real(path, data)
        assert storage.publish(tmp_path / "plan.json", b"the other's")  # from beginning to end between our two steps

    monkeypatch.setattr(storage, "_write_new", other_first)
    lock = storage.try_lock(storage._temporary(tmp_path / ".flock"))
    assert not storage.publish(tmp_path / "plan.json", b"ours")
    os.close(lock)
    assert (tmp_path / "plan.json").read_bytes() == b"the other's"


def test_another_fault_of_a_lock_stays_what_it_is(tmp_path, monkeypatch):
    pretend(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        storage.check_locks(tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", storage._FIXES)
def test_faults_that_a_user_can_mend_are_one_line(number):
    with pytest.raises(ShardError) as caught, storage.explained(Path("outputs/a")):
        raise OSError(number, os.strerror(number), "some.tmp")
    message = str(caught.value)
    assert message.startswith(f"outputs/a: {os.strerror(number)}: ")
    assert "\n" not in message
    assert any(advice in message for advice in ("run=...", "free some space", "run the same command again"))
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("error", [OSError(errno.EBADF, "x"), ValueError("x")])
def test_other_faults_are_bugs_and_stay_what_they_are(error):
    with pytest.raises(type(error)) as caught, storage.explained(Path("outputs/a")):
        raise error
    assert caught.value is error


def test_free_bytes_and_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert storage.sha256(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert 0 < storage.free_bytes(tmp_path) <= os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize
