"""A shard's files: what they hold, and how every damaged state is continued."""

import io
import json
import os
import pathlib
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genir.errors import ShardError
from genir.shards import reader
from genir.shards.files import Entry, Marker, ShardFiles, read_journal, read_marker
from genir.shards.writer import ShardWriter, claim

COLUMNS = {"key": "string", "verdict": "string", "reason": "string", "score": "float", "count": "int", "flag": "bool"}
BATCHES, SIZE = 5, 2
END = BATCHES * SIZE


def rows(batch, reject=lambda number: number % 3 == 0):
    numbers = range(batch * SIZE, batch * SIZE + SIZE)
    return [
        {
            "key": f"{number:09d}",
            "verdict": "rejected" if reject(number) else "kept",
            "reason": "face" if reject(number) else "",
            "score": number / 7,
            "count": None,
        }
        for number in numbers
    ]


def members(batch_rows):
    return {f"{row['key']}.txt": row["key"].encode() * 50 for row in batch_rows if row["verdict"] == "kept"}


def write(files, upto=BATCHES, finish=True, **kwargs):
    lock = claim(files, upto * SIZE)
    assert lock is not None
    with ShardWriter(files, lock, "plan", COLUMNS) as writer:
        first = writer.batches
        for batch in range(first, upto):
            new = rows(batch, **kwargs)
            writer.add(new, members(new))
        if finish:
            writer.finish(upto * SIZE)
    return first


def contents(files):
    return {path.name: path.read_bytes() for path in files.folder.iterdir()}


@pytest.fixture
def whole(tmp_path):
    files = ShardFiles.of(tmp_path / "whole", 3, 10)
    write(files)
    return contents(files)


@pytest.fixture
def files(tmp_path):
    return ShardFiles.of(tmp_path / "shard", 3, 10)


def test_names_and_subfolders(tmp_path):
    assert ShardFiles.of(tmp_path, 12, 10_000).tar == tmp_path / "000012.tar"
    assert ShardFiles.of(tmp_path, 12_345, 20_000).tar == tmp_path / "012" / "012345.tar"


def test_only_the_three_published_files_remain(whole):
    assert sorted(whole) == ["000003.done", "000003.parquet", "000003.tar"]


def test_the_tar_is_what_tarfile_writes(whole):
    """Byte for byte, so that nobody needs a reader of ours."""
    expected = io.BytesIO()
    with tarfile.open(fileobj=expected, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for batch in range(BATCHES):
            for name, content in members(rows(batch)).items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    assert whole["000003.tar"] == expected.getvalue()


def test_the_table_has_the_planned_schema_even_where_all_is_null(whole):
    table = pq.read_table(pa.BufferReader(whole["000003.parquet"]))
    assert table.schema.field("count").type == pa.int64()
    assert table.schema.field("flag").type == pa.bool_()
    assert table.column("flag").null_count == END
    assert table.column("key").to_pylist() == [f"{number:09d}" for number in range(END)]


def test_the_marker_counts_and_hashes(files):
    write(files)
    marker = read_marker(files)
    assert marker is not None
    assert (marker.tasks, marker.kept, marker.reasons, marker.covered) == (END, 6, {"face": 4}, END)
    assert set(marker.files) == {"000003.tar", "000003.parquet"}
    assert dict(reader.members(files)).keys() == {f"{n:09d}.txt" for n in range(END) if n % 3}


@pytest.mark.parametrize("stop", range(BATCHES + 1))
def test_going_on_after_any_batch_gives_the_same_bytes(files, whole, stop):
    write(files, upto=stop, finish=False)
    assert write(files) == stop
    assert contents(files) == whole


@pytest.mark.parametrize("first", range(1, BATCHES))
def test_growing_a_finished_shard_gives_the_same_bytes(files, whole, first):
    write(files, upto=first)
    assert read_marker(files).covered == first * SIZE
    assert claim(files, first * SIZE) is None
    assert write(files) == first
    assert contents(files) == whole


def test_a_growing_shard_stays_readable_until_it_is_done(files):
    write(files, upto=2)
    before = read_marker(files)
    write(files, upto=4, finish=False)
    assert read_marker(files) == before
    assert len(list(reader.members(files))) == before.kept


def test_an_all_rejected_shard_has_no_tar(files):
    write(files, reject=lambda number: True)
    assert sorted(contents(files)) == ["000003.done", "000003.parquet"]
    assert read_marker(files).kept == 0
    assert list(reader.members(files)) == []
    assert claim(files, END) is None


@pytest.mark.parametrize("cut", [1, 100, 511, 512, 3000])
def test_a_truncated_part_loses_only_the_batches_it_no_longer_holds(files, whole, cut):
    write(files, upto=4, finish=False)
    os.truncate(files.part, files.part.stat().st_size - cut)
    assert write(files) < 4
    assert contents(files) == whole


@pytest.mark.parametrize("garbage", [b"\0" * 700, b"half a line", b"00000000 [9,0,[]]\n", b"\n\n"])
def test_garbage_after_the_last_whole_batch_is_cut_off(files, whole, garbage):
    write(files, upto=3, finish=False)
    for path in (files.part, files.journal):
        with path.open("ab") as file:
            file.write(garbage)
    assert write(files) == 3
    assert contents(files) == whole


@pytest.mark.parametrize("flip", range(0, 400, 13))
def test_a_flipped_byte_in_the_journal_costs_batches_never_correctness(files, whole, flip):
    write(files, upto=4, finish=False)
    data = bytearray(files.journal.read_bytes())
    data[flip] ^= 1
    files.journal.write_bytes(data)
    assert write(files) < 4
    assert contents(files) == whole


def test_an_empty_part_without_a_journal_is_a_beginning(files, whole):
    files.folder.mkdir()
    files.part.touch()
    assert write(files) == 0
    assert contents(files) == whole


NO_FILES = Marker("000003", "", 1, 1, 1, 1, {}, 1, None).encode()


@pytest.mark.parametrize("text", [b"", b"{", b'{"shard": "000003"}', b"[]", b"\xff\xfe", NO_FILES])
def test_a_half_written_marker_is_set_aside_and_the_shard_made_again(files, whole, text):
    write(files)
    files.marker.write_bytes(text)
    assert read_marker(files) is None
    assert write(files) == 0
    after = contents(files)
    assert after.pop("000003.done.bad") == text
    assert after == whole


def test_a_marker_whose_tar_was_truncated_is_not_believed(files, whole):
    write(files)
    os.truncate(files.tar, 1000)
    assert read_marker(files) is None
    write(files)
    after = contents(files)
    del after["000003.done.bad"]
    assert after == whole


def test_a_size_that_a_network_file_system_remembers_of_the_old_file_does_not_count(files, whole, monkeypatch):
    """Another machine grew the shard; here `stat` still tells the size of the tar that the new one replaced."""
    write(files)
    real = pathlib.Path.stat

    def stale(path, **options):
        facts = real(path, **options)
        return os.stat_result([*facts[:6], 17, *facts[7:]]) if path.suffix in (".tar", ".parquet") else facts

    monkeypatch.setattr(pathlib.Path, "stat", stale)
    assert read_marker(files) is not None
    assert claim(files, END) is None
    monkeypatch.undo()
    assert contents(files) == whole


def test_leftovers_of_a_kill_after_the_marker_are_tidied(files, whole):
    write(files, finish=False)
    journal = files.journal.read_bytes()
    write(files)
    files.journal.write_bytes(journal)
    os.link(files.tar, files.part)
    assert claim(files, END) is None
    assert contents(files) == whole


def test_growth_never_writes_into_the_finished_tar(files, whole):
    """Killed after publishing, before the part lost its name: both names are one file."""
    write(files, upto=2)
    os.link(files.tar, files.part)
    before = files.tar.read_bytes()
    lock = claim(files, END)
    assert lock is not None
    with ShardWriter(files, lock, "plan", COLUMNS):
        assert files.tar.read_bytes() == before
    write(files)
    assert contents(files) == whole


def test_a_held_shard_cannot_be_claimed_and_is_free_afterwards(files):
    lock = claim(files, END)
    assert claim(files, END) is None
    os.close(lock)
    again = claim(files, END)
    assert again is not None
    os.close(again)


def test_journal_lines_survive_a_round_trip():
    entry = Entry(3, 1024, [{"key": "1", "score": 0.1, "text": "ü\n"}])
    assert Entry.decode(entry.encode()) == entry
    assert Entry.decode(entry.encode()[:-1]) is None
    assert json.loads(entry.encode().split(b" ", 1)[1])[0] == 3


def test_a_member_name_that_ustar_cannot_hold_is_refused(files):
    lock = claim(files, END)
    with ShardWriter(files, lock, "plan", COLUMNS) as writer, pytest.raises(ShardError, match="longer than"):
        writer.add(rows(0), {"x" * 101: b""})


def test_a_missing_journal_reads_as_empty(files):
    assert read_journal(files) == ([], 0)


def test_an_interrupt_leaves_the_descriptors_to_the_thread_that_may_still_write(files):
    lock = claim(files, END)
    with pytest.raises(KeyboardInterrupt), ShardWriter(files, lock, "plan", COLUMNS) as writer:
        raise KeyboardInterrupt  # the second Ctrl-C, while the main thread waits for the saver
    another = files.folder / "statistics.json"
    with another.open("wb"):  # would get the lowest free descriptor
        writer.add(rows(0), members(rows(0)))
    assert another.read_bytes() == b""
    assert claim(files, END) is None, "the shard is held as long as it may be written"
