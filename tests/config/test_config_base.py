"""Reading YAML and overrides: what is understood, and the one line for each mistake."""

import copy
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, Field, model_validator

from genir.config.base import Strict, differences, digest, load
from genir.config.generate import Generate
from genir.errors import ConfigError


class Inner(Strict):
    scale: float = Field(5.0, ge=0, le=10)
    start: float = 0.0
    end: float = 1.0

    @model_validator(mode="after")
    def _ordered(self):
        if self.start > self.end:
            raise ValueError("start is after end")
        return self


class Outer(Strict):
    steps: int = Field(30, ge=1)
    name: str = "a"
    inner: Inner = Inner()
    other: Inner | None = None
    many: tuple[Inner, ...] = ()
    by_name: dict[Literal["x", "y"], Inner] = Field(default={})


@pytest.fixture
def read(tmp_path, monkeypatch):
    """A configuration from the text of a file (`c.yaml`) and overrides."""
    monkeypatch.chdir(tmp_path)

    def reader(text, *overrides, kind=Outer):
        Path("c.yaml").write_text(text, encoding="utf-8")
        return load(kind, "c.yaml", overrides)

    return reader


def test_no_file_gives_the_defaults():
    assert load(Outer, None) == Outer()


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n"])
def test_an_empty_file_gives_the_defaults(read, text):
    assert read(text) == Outer()


def test_overrides_win_over_the_file_and_later_ones_over_earlier_ones(read):
    config = read("steps: 2\ninner: {scale: 3, start: 0.25}\n", "steps=3", "steps=4", "inner.scale=1e0")
    assert (config.steps, config.inner) == (4, Inner(scale=1.0, start=0.25))


def test_overrides_are_yaml(read):
    config = read("", "name='no'", "inner={scale: 2}", "inner.end=0.5", "many=[{scale: 1}]", "other=null")
    assert config == Outer(name="no", inner=Inner(scale=2, end=0.5), many=(Inner(scale=1),))


def test_an_override_makes_the_mappings_it_needs(read):
    assert read("other: null\n", "other.scale=2", "by_name.x.start=0.5").other == Inner(scale=2)
    assert read("", "by_name.x.start=0.5").by_name == {"x": Inner(start=0.5)}


def test_an_override_may_contain_an_equals_sign(read):
    assert read("", "name=a=b").name == "a=b"


def test_values_cannot_be_changed_afterwards():
    with pytest.raises(ValueError, match="frozen"):
        Outer().steps = 3  # pyright: ignore


MISTAKES = [
    # unknown keys: at the top, nested, optional, in a list, in a mapping by name
    ("stpes: 3", [], "c.yaml: unknown key stpes; did you mean steps?"),
    ("zzz: 3", [], "c.yaml: unknown key zzz; known keys: by_name, inner, many, name, other, steps"),
    ("inner: {scael: 3}", [], "c.yaml: unknown key inner.scael; did you mean scale?"),
    ("other: {scael: 3}", [], "c.yaml: unknown key other.scael; did you mean scale?"),
    ("many: [{}, {scael: 3}]", [], "c.yaml: unknown key many.1.scael; did you mean scale?"),
    ("by_name: {y: {scael: 3}}", [], "c.yaml: unknown key by_name.y.scael; did you mean scale?"),
    ("", ["inner.scael=3"], "override 'inner.scael=3': unknown key inner.scael; did you mean scale?"),
    ("", ["steps =3"], "override 'steps =3': unknown key steps ; did you mean steps?"),
    ("by_name: {z: {}}", [], "c.yaml: by_name.z = \"z\": input should be 'x' or 'y'"),
    ("1: 2", [], "c.yaml: 1 = 1: keys should be strings"),
    # values
    ("steps: 0", [], "c.yaml: steps = 0: input should be greater than or equal to 1"),
    ("steps: 0", ["steps=-1"], "override 'steps=-1': steps = -1: input should be greater than or equal to 1"),
    ("steps: [1]", [], "c.yaml: steps = [1]: input should be a valid integer"),
    (
        "",
        ["steps="],
        "override 'steps=': steps = \"\": input should be a valid integer, unable to parse string as an integer",
    ),
    ("name: 2024-05-01", [], 'c.yaml: name = "2024-05-01": input should be a valid string'),
    ("name: {2024-05-01: 1}", [], "c.yaml: name = {datetime.date(2024, 5, 1): 1}: input should be a valid string"),
    ("inner: 5", [], "c.yaml: inner = 5: expected a mapping of keys to values"),
    ("inner: null", [], "c.yaml: inner = null: expected a mapping of keys to values"),
    ("many: {}", [], "c.yaml: many = {}: expected a list"),
    ("inner: {scale: .nan}", [], "c.yaml: inner.scale = NaN: input should be a finite number"),
    ("inner: {start: .inf}", [], "c.yaml: inner.start = Infinity: input should be a finite number"),
    ("inner: {start: 2}", [], 'c.yaml: inner = {"start": 2}: start is after end'),
    (
        f"steps: {'x' * 99}",
        [],
        f'c.yaml: steps = "{"x" * 56}...: input should be a valid integer, unable to parse string as an integer',
    ),
    # YAML
    ("steps: 3\ninner: [1\n", [], "c.yaml line 3: not valid YAML: expected ',' or ']', but got '<stream end>'"),
    ("steps: 3\nname: b: c\n", [], "c.yaml line 2: not valid YAML: mapping values are not allowed here"),
    ("\tsteps: 3", [], "c.yaml line 1: not valid YAML: found character '\\t' that cannot start any token"),
    (
        "name: \x07",
        [],
        "c.yaml: not valid YAML: unacceptable character #x0007: special characters are not allowed "
        'in "<unicode string>", position 6',
    ),
    ("name: 2024-02-30", [], "c.yaml: not valid YAML: day is out of range for month"),
    ("- steps", [], "c.yaml: a config is a mapping of keys to values, this is a list"),
    ("steps", [], "c.yaml: a config is a mapping of keys to values, this is a str"),
    # the form of overrides
    ("", ["steps"], "override 'steps': expected key.path=value, for example steps=30"),
    ("", ["=3"], "override '=3': expected key.path=value, for example steps=30"),
    ("", ["inner..scale=3"], "override 'inner..scale=3': expected key.path=value, for example steps=30"),
    ("", ["name=a: b: c"], "override 'name=a: b: c': the value is not valid YAML; quote it"),
    ("", ["name=2024-02-30"], "override 'name=2024-02-30': the value is not valid YAML; quote it"),
    ("", ["name=[a"], "override 'name=[a': the value is not valid YAML; quote it"),
    # an override below something that is no mapping
    ("steps: 30", ["steps.x=1"], "override 'steps.x=1': steps is 30, it has no keys; set steps=... whole"),
    ("", ["steps.x=1"], 'c.yaml: steps = {"x": 1}: input should be a valid integer'),
    ("many: [{}]", ["many.0.end=1"], "override 'many.0.end=1': many is [{}], it has no keys; set many=... whole"),
    ("name: a", ["name.x.y=1"], "override 'name.x.y=1': name is \"a\", it has no keys; set name=... whole"),
]


@pytest.mark.parametrize(("text", "overrides", "message"), MISTAKES)
def test_a_mistake_is_one_exact_line(read, text, overrides, message):
    with pytest.raises(ConfigError) as caught:
        read(text, *overrides)
    assert str(caught.value) == message


def test_every_mistake_has_a_line_of_its_own(read):
    with pytest.raises(ConfigError) as caught:
        read("stpes: 3\ninner: {scale: 11}\nmany: [{scale: 11}]", "nmae=b")
    assert str(caught.value).splitlines() == [
        "c.yaml: inner.scale = 11: input should be less than or equal to 10",
        "c.yaml: many.0.scale = 11: input should be less than or equal to 10",
        "c.yaml: unknown key stpes; did you mean steps?",
        "override 'nmae=b': unknown key nmae; did you mean name?",
    ]
    with pytest.raises(ConfigError, match=r"(unknown key k\d; known keys: .*\n.*){8}and 92 more$"):
        read("".join(f"k{number}: 1\n" for number in range(100)))


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: no such config file; genir's own are configs/"):
        load(Outer, tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match=r"cannot be read: .*directory"):
        load(Outer, tmp_path)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: \xe4".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml: cannot be read: 'utf-8' codec"):
        load(Outer, latin)


@pytest.mark.parametrize(
    "config", sorted(Path(__file__).parents[2].glob("configs/generate_*.yaml")), ids=lambda p: p.name
)
def test_the_configs_that_travel_with_genir_load(config):
    assert isinstance(load(Generate, config), Generate)


def test_a_digest_does_not_depend_on_the_order_of_keys():
    one = {"a": 1, "b": {"c": [1, 2], "d": None}}
    two = {"b": {"d": None, "c": [1, 2]}, "a": 1}
    assert digest(one) == digest(two)
    assert digest({"a": [1, 2]}) != digest({"a": [2, 1]})
    assert digest({"a": None}) != digest({})


def test_a_digest_stays_the_same_between_versions():
    # every run directory in the world holds such a digest
    assert digest({"b": [1, None, "ü"], "a": 0.5}) == "6e29431e58eea586998631a819ba3dfbf59f14e04f470c1c80a169c056914cd7"


def test_differences_name_the_changed_keys():
    old = {"a": 1, "b": {"c": [1, 2], "d": "x" * 100}, "gone": True, "same": {"e": 1}}
    new = copy.deepcopy(old) | {"a": 2, "new": {"f": 1}}
    new["b"] |= {"c": [1], "d": None}
    del new["gone"]
    assert differences(old, new) == [
        "a: 1 -> 2",
        "b.c: [1, 2] -> [1]",
        f'b.d: "{"x" * 56}... -> null',
        "gone: true -> null",
        'new: null -> {"f": 1}',
    ]
    assert differences(old, old) == []


def test_an_empty_override_is_empty_text():
    assert load(Generate, None, ["negative="]).negative == ""


def test_a_key_that_stands_twice_is_refused(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("steps: 3\nguidance: {scale: 1, scale: 2}\nsteps: 4\n")
    with pytest.raises(ConfigError, match=r"c\.yaml line 3: not valid YAML: the key 'steps' stands twice"):
        load(Generate, path)


@pytest.mark.parametrize("text", ["run: {{ folder }}\n", "[a, b]: 3\n"])
def test_a_key_that_is_no_text_is_refused(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"c\.yaml line 1: not valid YAML: found unhashable key"):
        load(Generate, path)


class Forms(Strict):
    """A place, or several."""

    place: Annotated[str, AfterValidator(str.strip)] | Annotated[dict[str, str], Field(min_length=1)]


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("null", "place = null: input should be a valid string or a valid dictionary"),
        ("{a: 1}", "place.a = 1: input should be a valid string"),
    ],
)
def test_a_value_that_may_have_several_forms_is_one_mistake(place, told):
    with pytest.raises(ConfigError) as caught:
        load(Forms, None, [f"place={place}"])
    assert str(caught.value) == f"override 'place={place}': {told}"
