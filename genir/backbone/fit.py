"""Does a learned pair belong to this model, and can the model make what is asked for?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genir.backbone.adapter import Adapter
from genir.backbone.encoders import Encoder
from genir.dualprompt import DualPrompt, check_model
from genir.errors import ConfigError, ModelError
from genir.records import Conditioning


def check_fit(
    dual: DualPrompt, id: str, family: str, adapter: Adapter, encoders: Sequence[Encoder], model_hash: str
) -> None:
    """Raise ModelError for a pair of another model, family or width, or with more vectors than positions."""
    check_model(dual, id, family, model_hash)
    what = f"dual prompt {dual.sha256[:12] or 'in memory'}"
    expected = {encoder.name: encoder.table.embedding_dim for encoder in encoders}
    if dual.mode == "output":
        expected = {"embeds": adapter.text_width, "pooled": adapter.pooled_width}
    elif set(expected) != set(dual.positive):
        names = f"{', '.join(sorted(dual.positive))}, model {id} has {', '.join(sorted(expected))}"
        raise ModelError(f"{what}: learned with the text encoders {names}")
    for name, width in expected.items():
        for side in (dual.positive, dual.negative):
            if name in side and side[name].shape[-1] != width:
                raise ModelError(f"{what}: {name} is {side[name].shape[-1]} wide, model {id} needs {width}")
    for encoder in encoders:
        count = max(dual.tokens("positive"), dual.tokens("negative"))
        replaced = dual.mode == "tokens" or encoder.tokenizer.reader.gives_way
        positions = encoder.tokenizer.positions
        if replaced and count > positions - 2:
            raise ModelError(f"{what}: {count} vectors do not fit into the {positions} positions of {encoder.name}")


def check_call(
    sides: Mapping[str, Conditioning | None],
    size_HW: tuple[int, int],
    images: int,
    steps: int,
    multiple: int,
    most: int,
) -> None:
    """Raise ConfigError for a size that is no multiple, steps beyond `most`, or a side for another number of images."""
    height, width = size_HW
    if height < 1 or width < 1 or height % multiple or width % multiple:
        raise ConfigError(f"size {height} x {width} (H x W): both must be multiples of {multiple}")
    if not 1 <= steps <= most:
        raise ConfigError(f"steps is {steps}; allowed: 1 .. {most}")
    for name, side in sides.items():
        if side is not None and side.embeds_NLD.shape[0] != images:
            raise ConfigError(f"{name} prompt for {side.embeds_NLD.shape[0]} images, but {images} seeds")
