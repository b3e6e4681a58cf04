"""Prompt files of every kind: what is read, from where to where, and which record an error names."""

import hashlib
import json
import os
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genir.errors import PromptError
from genir.promptfile import STRIDE, PromptFiles
from genir.promptrecord import MAX_CHARACTERS, json_line
from genir.records import Prompt

THREE = [Prompt("a red boat", "sea"), Prompt('a "green", old door', ""), Prompt("ein Fluß, 川 🏞️ im Nebel", "land")]


def jsonl(prompts):
    lines = [json.dumps({"prompt": p.text, "category": p.category, "number": 7}, ensure_ascii=False) for p in prompts]
    return "".join(f"{line}\n" for line in lines).encode()


def csv(prompts):
    quoted = [f'"{p.text.replace(chr(34), 2 * chr(34))}",{p.category}' for p in prompts]
    return "".join(f"{line}\n" for line in ["prompt, category", *quoted]).encode()


def txt(prompts):
    return "".join(f"{p.text}\n" for p in prompts).encode()


def parquet(path, prompts, row_group_size=None, **columns):
    table = pa.table(
        {"prompt": [p.text for p in prompts], "category": [p.category or None for p in prompts], **columns}
    )
    pq.write_table(table, path, row_group_size=row_group_size)
    return str(path)


@pytest.fixture
def write(tmp_path):
    def writer(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return writer


def everything(*names):
    files = PromptFiles(names)
    files.check()
    return list(files.read(0, files.count))


def refused(*names):
    """The one line for a file that cannot be used, without the folder it is in."""
    with pytest.raises(PromptError) as caught:
        everything(*names)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(Path(names[0]).parent) + "/", "")


def test_jsonl(write):
    assert everything(write("p.jsonl", jsonl(THREE))) == THREE


def test_csv_with_quoted_commas_and_quotes(write):
    assert everything(write("p.csv", csv(THREE))) == THREE


def test_txt_has_no_categories(write):
    assert everything(write("p.txt", txt(THREE))) == [Prompt(p.text) for p in THREE]


@pytest.mark.parametrize("row_group_size", [1, 2, None])
def test_parquet(tmp_path, row_group_size):
    assert everything(parquet(tmp_path / "p.parquet", THREE, row_group_size, other=[1, 2, 3])) == THREE


def test_parquet_without_categories_or_with_other_string_types(tmp_path):
    texts = [p.text for p in THREE]
    for array in (pa.array(texts, pa.large_string()), pa.array(texts).dictionary_encode()):
        pq.write_table(pa.table({"prompt": array}), tmp_path / "p.parquet")
        assert [p.text for p in everything(str(tmp_path / "p.parquet"))] == texts


@pytest.mark.parametrize(("name", "kind"), [("p.jsonl", jsonl), ("p.csv", csv), ("p.txt", txt), ("P.TXT", txt)])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"),
        lambda data: data.replace(b"\n", b"\n\n \t\n"),
        lambda data: data.rstrip(b"\n"),
        lambda data: data + b"\n\n\n",
    ],
    ids=["bom", "crlf", "bom and crlf", "blank lines", "no last line break", "blank end"],
)
def test_what_editors_do_to_a_file_changes_no_prompt(write, name, kind, spoil):
    whole, spoiled = everything(write(name, kind(THREE))), everything(write(name, spoil(kind(THREE))))
    assert spoiled == whole


def test_space_around_values_is_no_part_of_them(write):
    assert everything(write("p.jsonl", '{"prompt": " a boat\\t", "category": " sea "}')) == [Prompt("a boat", "sea")]


@pytest.mark.parametrize(
    "text", ["a\u00a0boat", "渔船\u3000在海上", "a \u200bboat", "👩‍🌾 farm", "\U0001fae8 new emoji"]
)
def test_unusual_but_harmless_characters_stay(write, text):
    assert everything(write("p.txt", text)) == [Prompt(text)]


def test_the_digest_is_of_the_bytes(write, tmp_path):
    for name in (write("p.jsonl", jsonl(THREE)), write("p.csv", csv(THREE)), parquet(tmp_path / "p.parquet", THREE)):
        (file,) = PromptFiles([name]).files
        assert file.sha256 == hashlib.sha256(Path(name).read_bytes()).hexdigest()
        assert (file.name, file.count) == (name, 3)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0c", "\x1e"])
def test_other_line_separators_do_not_split_a_line_and_are_refused_where_they_are(write, separator):
    name = write("p.jsonl", jsonl([*THREE, Prompt(f"one{separator}two"), *THREE]))
    assert PromptFiles([name]).count == 7
    assert refused(name) == (
        f"p.jsonl line 4: the prompt holds U+{ord(separator):04X} (a line break or a tab?); remove it"
    )


ERRORS = [
    ("p.jsonl", '{"prompt": "a"}\n\n\n[1]\n', "p.jsonl line 4: expected an object with a prompt, found list"),
    ("p.jsonl", '\n{"prompt": "a"}\n\n{"prompt": }', "p.jsonl line 4: not valid JSON: Expecting value at column 12"),
    ("p.jsonl", '{"text": "a"}', 'p.jsonl line 1: no "prompt", or it is empty; every record needs one'),
    ("p.jsonl", '{"prompt": null}', 'p.jsonl line 1: no "prompt", or it is empty; every record needs one'),
    ("p.jsonl", '{"prompt": " \\n"}', 'p.jsonl line 1: no "prompt", or it is empty; every record needs one'),
    ("p.jsonl", '{"prompt": "a", "category": 3}', 'p.jsonl line 1: "category" is 3, expected text'),
    ("p.jsonl", '{"prompt": "a\\nb"}', "p.jsonl line 1: the prompt holds U+000A (a line break or a tab?); remove it"),
    ("p.jsonl", '{"prompt": "\\ud83c"}', "p.jsonl line 1: the prompt holds U+D83C (a line break or a tab?); remove it"),
    (
        "p.jsonl",
        '{"prompt": "a", "category": "\\ud83c"}',
        "p.jsonl line 1: the category holds U+D83C (a line break or a tab?); remove it",
    ),
    ("p.txt", "a\n\n\n\xa0\n", 'p.txt line 4: no "prompt", or it is empty; every record needs one'),
    ("p.txt", "a\n\nb\tc", "p.txt line 3: the prompt holds U+0009 (a line break or a tab?); remove it"),
    ("p.txt", "old\rmac", "p.txt line 1: the prompt holds U+000D (a line break or a tab?); remove it"),
    ("p.txt", b"a\n\n\xff\n", "p.txt line 3: not UTF-8; save the file as UTF-8"),
    ("p.txt", "a\n" + "x" * (MAX_CHARACTERS + 1), "p.txt line 2: the prompt has 4001 characters, allowed are 4000"),
    ("p.csv", "prompt,category\n\na,b,c\n", "p.csv line 3: 3 values for 2 columns; quote the prompt"),
    ("p.csv", 'prompt\n\n"a\nb"\n', "p.csv line 3: not one whole CSV record (a quoted line break?)"),
    ("p.csv", "Prompt,category\na,b\n", "p.csv line 1: the header has no column prompt; it has Prompt, category"),
    ("p.csv", "prompt;category\na;b\n", "p.csv line 1: the header has no column prompt; it has prompt;category"),
    ("p.csv", "", "p.csv line 1: the header has no column prompt; it has none"),
    ("p.csv", b"\xff", "p.csv line 1: not UTF-8; save the file as UTF-8"),
    ("p.csv", "prompt\n\n", "p.csv: no prompt in it"),
    ("p.txt", "", "p.txt: no prompt in it"),
    ("p.jsonl", "\n \n", "p.jsonl: no prompt in it"),
    ("p.parquet", "PAR1", "p.parquet: not a parquet file: Parquet file size is 4 bytes, smaller than"),
    ("p.parquet", "", "p.parquet: not a parquet file: Parquet file size is 0 bytes"),
    ("p.yaml", "a", "p.yaml: unknown kind of prompt file '.yaml'; known: .jsonl, .txt, .csv, .parquet"),
]


@pytest.mark.parametrize(("name", "content", "message"), ERRORS)
def test_an_error_names_the_place(write, name, content, message):
    found = refused(write(name, content))
    assert found.startswith(message) if name == "p.parquet" else found == message


@pytest.mark.parametrize("where", [slice(100, 4000), slice(-200, -20)], ids=["body", "footer"])
def test_a_damaged_parquet_file_is_one_line(tmp_path, where):
    path = tmp_path / "p.parquet"
    parquet(path, [Prompt(f"prompt number {number}") for number in range(5000)])
    content = bytearray(path.read_bytes())
    content[where] = b"\xff" * len(content[where])
    path.write_bytes(content)
    assert refused(str(path)).startswith(("p.parquet: not a parquet file: ", "p.parquet: damaged parquet file: "))


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 20_000 + "]" * 20_000], ids=["digits", "nesting"])
def test_json_beyond_python_s_bounds_is_one_line(write, value):
    assert refused(write("p.jsonl", f'{{"prompt": "a", "x": {value}}}\n')).startswith(
        "p.jsonl line 1: not usable JSON: "
    )


def test_a_null_prompt_in_parquet_is_named_by_its_row(tmp_path):
    table = pa.table({"prompt": ["a", "b", "c", None, "e"]})
    pq.write_table(table, tmp_path / "p.parquet", row_group_size=2)
    assert refused(str(tmp_path / "p.parquet")) == (
        'p.parquet row 4: no "prompt", or it is empty; every record needs one'
    )
    files = PromptFiles([str(tmp_path / "p.parquet")])
    assert [prompt.text for prompt in files.read(0, 3)] == ["a", "b", "c"]


def test_a_parquet_file_without_prompts(tmp_path):
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "p.parquet")
    assert refused(str(tmp_path / "p.parquet")) == "p.parquet: no column prompt; it has text"
    pq.write_table(pa.table({"prompt": pa.array([], pa.string())}), tmp_path / "p.parquet")
    assert refused(str(tmp_path / "p.parquet")) == "p.parquet: no prompt in it"


@pytest.mark.parametrize("ending", ["jsonl", "txt", "csv", "parquet"])
def test_a_file_that_is_not_there_or_a_folder(tmp_path, ending):
    path = tmp_path / f"p.{ending}"
    assert refused(str(path)) == f"p.{ending}: no such prompt file; genir's own is prompts/bank.jsonl"
    path.mkdir()
    assert refused(str(path)) == f"p.{ending}: is a folder, not a prompt file"


@pytest.mark.parametrize("ending", ["jsonl", "txt", "csv", "parquet"])
def test_a_file_without_permission(write, monkeypatch, ending):
    name = write(f"p.{ending}", "prompt\n")

    def denied(path, *arguments, **options):  # root may read everything, so that a real mode would not do
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", denied)
    assert refused(name) == f"p.{ending}: no permission to read it"


def mixed(tmp_path):
    """Four files of all kinds, some longer than several strides, and their prompts as a plain list."""
    sizes = {"a.jsonl": 2 * STRIDE + 3, "b.parquet": 700, "c.txt": STRIDE, "d.csv": 1, "e.csv": STRIDE + 1}
    names, plain, made = [], [], 0
    for name, size in sizes.items():
        prompts = [Prompt(f"prompt {number}, ü" * (1 + number % 3), "") for number in range(made, made + size)]
        path = tmp_path / name
        if name.endswith("parquet"):
            parquet(path, prompts, row_group_size=90)
        else:
            data = {"jsonl": jsonl, "txt": txt, "csv": csv}[name.split(".")[1]](prompts)
            lines = data.splitlines(keepends=True)
            # blank lines, also around every stride
            path.write_bytes(b"".join(line + b"\n" * (number % 5 == 0) for number, line in enumerate(lines)))
        names, plain, made = [*names, str(path)], plain + prompts, made + size
    return PromptFiles(names), plain


def test_random_access_equals_a_plain_list(tmp_path):
    files, plain = mixed(tmp_path)
    assert files.count == len(plain)
    assert list(files.read(0, files.count)) == plain
    rng = random.Random(0)
    edges = [0, STRIDE - 1, STRIDE, STRIDE + 1, 2 * STRIDE, 2 * STRIDE + 3, files.count - 1, files.count]
    ranges = [(start, stop) for start in edges for stop in edges]
    for _ in range(150):
        start = rng.randrange(files.count)
        ranges.append((start, min(files.count, start + rng.choice([0, 1, 2, 100, STRIDE, 1000]))))
    for start, stop in ranges:
        assert list(files.read(start, stop)) == plain[start:stop], (start, stop)


def test_reading_is_lazy_and_an_error_waits_for_its_record(write):
    files = PromptFiles([write("p.txt", b"a\nb\n\xff\n")])
    prompts = files.read(0, 3)
    assert [next(prompts), next(prompts)] == [Prompt("a"), Prompt("b")]
    with pytest.raises(PromptError, match="line 3: not UTF-8"):
        next(prompts)


def test_a_file_that_shrinks_while_it_is_read(write):
    name = write("p.txt", txt([Prompt(f"prompt {number}") for number in range(100_000)]))
    prompts = PromptFiles([name]).read(0, 100_000)
    next(prompts)
    os.truncate(name, 40)
    with pytest.raises(PromptError, match=r"p\.txt: the file became shorter while it was in use"):
        list(prompts)


@pytest.mark.parametrize("ending", ["txt", "parquet"])
def test_a_file_that_is_edited_while_it_is_in_use(tmp_path, ending):
    def write(prompts):
        path = tmp_path / f"p.{ending}"
        path.write_bytes(txt(prompts)) if ending == "txt" else parquet(path, prompts)
        return str(path)

    files = PromptFiles([write([Prompt(f"prompt {number}") for number in range(10)])])
    write([Prompt(f"another {number}") for number in range(10)])
    with pytest.raises(PromptError, match=r"the file was changed while it was in use"):
        list(files.read(5, 10))


def test_the_second_file_is_the_one_that_an_error_names(write):
    names = [write("a.txt", "a\nb\n"), write("b.txt", "c\n\n\td\te\n")]
    with pytest.raises(PromptError, match=r"b\.txt line 3: the prompt holds U\+0009"):
        PromptFiles(names).check()


def test_an_index_of_a_large_file_is_sparse(tmp_path):
    count = 100_000
    path = tmp_path / "p.txt"
    path.write_text("".join(f"prompt {number}\n" for number in range(count)))
    files = PromptFiles([str(path)])
    assert files.count == count
    (file,) = files.files
    remembered = [len(value) for value in vars(file).values() if hasattr(value, "itemsize")]
    assert remembered == [-(-count // STRIDE)] * 2
    assert list(files.read(count - 2, count)) == [Prompt(f"prompt {count - 2}"), Prompt(f"prompt {count - 1}")]


def test_genirs_own_bank():
    files = PromptFiles(["prompts/bank.jsonl"])
    files.check()
    assert files.count == 10_000
    assert next(files.read(0, 1)).category


def test_all_fields_of_a_record(write):
    line = '{"prompt": "a lake", "id": 7, "negative": "boats", "tags": ["still", "deep"], "source": "me"}'
    whole = Prompt("a lake", "", "7", "boats", ("still", "deep"), "me")
    assert everything(write("p.jsonl", line + "\n")) == [whole]
    assert everything(write("p.csv", "prompt,tags\na lake,still;deep\n")) == [Prompt("a lake", tags=("still", "deep"))]


def test_all_fields_of_a_parquet_row(tmp_path):
    path = parquet(tmp_path / "p.parquet", [Prompt("a lake")], tags=[["still", "deep"]], id=[7], licence=["MIT"])
    assert everything(path) == [Prompt("a lake", id="7", tags=("still", "deep"), licence="MIT")]


@pytest.mark.parametrize("value", ["[1]", '{"a": 1}', "3"])
def test_tags_that_are_no_list_of_texts(write, value):
    path = write("p.jsonl", f'{{"prompt": "a lake", "tags": {value}}}\n')
    assert refused(path).endswith(f'"tags" is {json.loads(value)!r}, expected a list of texts')


def test_a_record_written_is_the_record_read(write):
    prompts = [
        Prompt("a lake, ä, \u4e2d", "water", "x", "boats", ("a", "b"), "me", "MIT"),
        Prompt("only a text"),
    ]
    assert everything(write("p.jsonl", "".join(map(json_line, prompts)))) == prompts
    assert json_line(prompts[1]) == '{"prompt": "only a text"}\n'


def test_the_empty_prompt_instead_of_a_file(write):
    assert everything("empty") == [Prompt("")]
    both = PromptFiles([write("p.txt", "a lake\n"), "empty"])
    assert [prompt.text for prompt in both.read(0, 2)] == ["a lake", ""]
    assert PromptFiles(["empty"]).files[0].sha256 == PromptFiles(["empty"]).files[0].sha256 != both.files[0].sha256
