"""Where learning begins: a learned pair that says what plain words say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from genir.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from genir.backbone.model import Backbone
    from genir.dualprompt import Mode


@torch.no_grad()
def initial_vectors(backbone: Backbone, mode: Mode, words: str, count: int) -> dict[str, Tensor]:
    """`count` vectors of one side, float32, from the words' tokens in order, repeated or cut to the number.

    In tokens mode the rows of every text encoder's table (GenIR section 3.2); in output mode the encoded words, as the
    denoiser is told them. Raises ConfigError for words without a token.
    """
    if mode == "output":
        states_MD = backbone.text.states_of(words, count)
        if not len(states_MD):
            raise ConfigError(f"words {words!r}: no text encoder reads a token in them; name at least one word")
        return {"embeds": states_MD}
    vectors = {}
    for encoder in backbone.text.encoders:
        ids = encoder.tokenizer.tokenizer(words, add_special_tokens=False).input_ids
        if not ids:
            raise ConfigError(f"words {words!r}: {encoder.name} reads no token in them; name at least one word")
        rows = torch.arange(count) % min(len(ids), encoder.tokenizer.most)
        table_VD = encoder.table.weight
        vectors[encoder.name] = table_VD[torch.tensor(ids, device=table_VD.device)[rows]].float().cpu()
    return vectors


@torch.no_grad()
def initial_pooled(backbone: Backbone, words: str) -> Tensor:
    """What the words add to the pooled text of the empty prompt (P,), float32."""
    pooled_2P = backbone.text.encode([words, ""], None).pooled_NP
    assert pooled_2P is not None
    return (pooled_2P[0] - pooled_2P[1]).float().cpu()
