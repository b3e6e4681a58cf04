"""The configuration of `genir learn`: shipped files, meaning, one line for a mistake."""

import pytest

from genir.config.base import load
from genir.config.learn import Learn
from genir.errors import ConfigError

DATA = "data.folder=here"


@pytest.mark.parametrize("name", ["embedded", "sdxl"])
def test_the_shipped_files_are_read(name):
    config = load(Learn, f"configs/learn_{name}.yaml")
    assert config.data.folder.startswith("outputs/prepared")
    assert config.objectives.denoise.weight == 1.0


def test_the_sdxl_file_names_every_key_with_its_default_or_its_own():
    config = load(Learn, "configs/learn_sdxl.yaml")
    assert set(Learn.model_fields) == config.model_fields_set


def test_the_data_must_be_named():
    with pytest.raises(ConfigError, match=r"the defaults: data is required"):
        load(Learn, None)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("timesteps=[0.5, 0.5]", "the first must be below the second"),
        ("tokens={positive: 3, negative: 4}", "output mode needs as many negative vectors as positive ones"),
        ("template={positive: A photo}", r"needs \{tokens\} exactly once"),
        ("lora={branch: none}", "branch"),
        ("lora={targets: [attn3]}", "attn1"),
        ("objectives={denoise: {weight: 0}}", "all weights are 0: nothing would be learned"),
        ("objectives.denoise.ratio=1", "less than 1"),
        ("learning_rate.vectors=0", "greater than 0"),
        ("run=s3://bucket/run", "cannot lie in an object store; give a local folder"),
    ],
)
def test_a_mistake_is_one_line(override, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load(Learn, None, [DATA, "mode=output", override])
    assert "\n" not in str(caught.value)


def test_a_pooled_vector_is_for_output_mode():
    with pytest.raises(ConfigError, match="learn_pooled: is for output mode"):
        load(Learn, None, [DATA, "learn_pooled=true"])


def test_a_lora_of_one_side_is_not_computed_again():
    with pytest.raises(ConfigError, match=r"lora.branch positive: not beside gradient_checkpointing"):
        load(Learn, None, [DATA, "lora={branch: positive}", "gradient_checkpointing=true"])


def test_steps_are_growth_only_where_the_rate_does_not_depend_on_them():
    def meaning(*overrides):
        return load(Learn, None, [DATA, *overrides]).meaning()

    assert meaning("steps=5") == meaning("steps=9", "run=x", "device=cpu", "checkpoint.every=3", "tracker=wandb")
    assert meaning("schedule=cosine", "steps=5") != meaning("schedule=cosine", "steps=9")
    assert meaning("gradient_checkpointing=true") == meaning()
    assert meaning("validation.every=3") != meaning()
