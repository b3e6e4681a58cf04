"""Documents that are made from the code are up to date; schemas hold what the models hold."""

import json
import re
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from genir.config.base import _apply, load
from genir.errors import ConfigError
from tools.docs import ROOT, documents, help_pages, schemas

KINDS = schemas.kinds()
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
_MODELINE = re.compile(r"# yaml-language-server: \$schema=schema/(\w+)\.json\n")


def kind_of(path):
    """What the first line of a configuration says it is."""
    found = _MODELINE.match(path.read_text())
    assert found, f"{path.name}: begin it with # yaml-language-server: $schema=schema/KIND.json"
    return found[1]


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_what_is_made_from_the_code_is_up_to_date(path):
    if path.name == "help.md" and sys.version_info[:2] != (3, 11):
        pytest.skip("argparse of another Python words its help differently")
    assert path.exists(), "make it: python -m tools.docs"
    assert path.read_text() == documents()[path], "make it anew: python -m tools.docs"


def test_no_schema_is_left_over():
    assert {path.stem for path in (ROOT / "configs/schema").iterdir()} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_has_a_meaning(kind):
    found = schemas.schema(KINDS[kind])
    for name, node in {kind: found, **found.get("$defs", {})}.items():
        assert node.get("description"), name
        for key, value in node.get("properties", {}).items():
            is_model = any("$ref" in option for option in (value, *value.get("anyOf", ())))
            assert value.get("description") or is_model or "const" in value, f"{name}.{key}"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_configurations_are_what_their_schema_and_their_model_say(path):
    kind = kind_of(path)
    # what a reader gives on the command line
    given = {"evaluate": ["sets.a=photos"], "utility": ["sets.a=photos", "test.source=held_out"]}.get(kind, [])
    values = yaml.safe_load(path.read_text())
    for override in given:
        _apply(values, override)
    jsonschema.validate(values, schemas.schema(KINDS[kind]))
    assert load(KINDS[kind], path, given)


@pytest.mark.parametrize(
    "path", sorted(Path(ROOT / "genir/degrade/presets").glob("*.yaml")), ids=lambda path: path.stem
)
def test_presets_are_what_the_schema_says(path):
    jsonschema.validate(yaml.safe_load(path.read_text()), schemas.schema(KINDS["degradation"]))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("generate", "{model: embedded, size: [64, 64], gates: score_only, prompts: a.txt}"),
        (
            "generate",
            "{model: {scheduler: EulerDiscreteScheduler, loras: [a.safetensors]}, size: [[64, 64], [64, 128]]}",
        ),
        ("generate", "{gates: {file: gates.yaml, face: {threshold: 0.2}}, size: joint-1.6m}"),
        ("degrade", "{input: photos, degradation: bsrgan}"),
        ("degrade", "{input: {a: photos}, degradation: {preset: bsrgan, scale: 2}}"),
        ("calibrate", "{reference: photos, negatives: [a, b]}"),
    ],
)
def test_short_forms_are_allowed(kind, text):
    jsonschema.validate(yaml.safe_load(text), schemas.schema(KINDS[kind]))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("generate", "{stpes: 3}"),
        ("generate", "{guidance: {scal: 3}}"),
        ("generate", "{size: large}"),
        ("generate", "{gates: {face: {threshold: 2}}}"),
        ("export", "{format: zip}"),
        ("degradation", "{blocks: [{kind: paint}]}"),
    ],
)
def test_schema_and_model_refuse_the_same(kind, text, tmp_path):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), schemas.schema(KINDS[kind]))
    with pytest.raises(ConfigError):
        load(KINDS[kind], tmp_path / "c.yaml")


def test_every_command_has_examples():
    for name, text in help_pages.pages().items():
        assert "examples:" in text, name
        assert f"\n  {name.partition(' ')[0]} " in text, name


def test_a_schema_is_json_of_its_draft():
    for kind, model in KINDS.items():
        jsonschema.Draft202012Validator.check_schema(json.loads(schemas.document(model))), kind
