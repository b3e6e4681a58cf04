"""One text encoder with its tokenizer: token ids to hidden states, with learned vectors beside its token table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from genir.backbone.tokenizers import Reader, prompt_tokenizer
from genir.errors import ModelError

if TYPE_CHECKING:
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer


@dataclass(frozen=True)
class Encoded:
    """What one encoder says of N prompts."""

    hidden_NLD: Tensor
    pooled_NP: Tensor | None = None
    mask_NL: Tensor | None = None
    """1 where a token is, 0 for padding; None where the family does not mask."""


class LearnedEmbedding(nn.Module):
    """A frozen token table and, for ids from `vocab` on, learned vectors: positive ones first, then negative
    ones.

    The vectors are float32 parameters of M x D beside the table, so an optimiser sees nothing else.
    """

    def __init__(self, table: nn.Embedding, positive_MD: Tensor, negative_MD: Tensor):
        super().__init__()
        self.table = table
        self.vocab = table.num_embeddings
        self.positive = frozen(positive_MD, table.weight.device)
        self.negative = frozen(negative_MD, table.weight.device)
        self._scale = getattr(table, "scalar_embed_scale", 1.0)  # Gemma multiplies the rows of its table

    @property
    def weight(self) -> Tensor:
        """The frozen table: transformers and diffusers read its dtype and device."""
        return self.table.weight

    def forward(self, ids_NL: Tensor) -> Tensor:
        """Ids (N, L) -> vectors (N, L, D)."""
        embeds_NLD = self.table(ids_NL.clamp(max=self.vocab - 1))
        learned_MD = torch.cat([self.positive, self.negative]).to(embeds_NLD.dtype) * self._scale
        extra_NLD = learned_MD[(ids_NL - self.vocab).clamp(min=0)]
        return torch.where((ids_NL >= self.vocab).unsqueeze(-1), extra_NLD, embeds_NLD)


class ClipEncoder:
    """CLIP; `layer` of the reader is the hidden state that the denoiser was trained on.

    A prompt is read in `chunks` pieces, whose hidden states stand side by side; the pooled vector is that of the first,
    as in ComfyUI.
    """

    def __init__(
        self,
        reader: Reader,
        tokenizer: CLIPTokenizer,
        model: CLIPTextModel | CLIPTextModelWithProjection,
        chunks: int = 1,
    ) -> None:
        self.name, self.layer, self.model = reader.name, reader.layer, model
        self.core: Any = model.text_model if hasattr(model, "text_projection") else model
        # Configs of 2022 say eos_token_id 2: then transformers pools at the largest id, a learned one
        self.core.eos_token_id = tokenizer.eos_token_id
        self.tokenizer = prompt_tokenizer(reader, tokenizer, model.config.max_position_embeddings, chunks)
        self._table = _checked(reader.name, tokenizer, self.core.embeddings.token_embedding)

    @property
    def vocab(self) -> int:
        """Size of the frozen token table; learned vectors have ids from here on."""
        return self._table.num_embeddings

    @property
    def table(self) -> nn.Embedding:
        """The frozen token table."""
        return self._table

    @property
    def learned(self) -> LearnedEmbedding | None:
        """The installed learned vectors."""
        current = self.core.embeddings.token_embedding
        return current if isinstance(current, LearnedEmbedding) else None

    def install(self, positive_MD: Tensor, negative_MD: Tensor) -> None:
        """Put learned vectors beside the token table, in place of earlier ones."""
        self.core.embeddings.token_embedding = LearnedEmbedding(self._table, positive_MD, negative_MD)

    def remove(self) -> None:
        """Put the plain token table back."""
        self.core.embeddings.token_embedding = self._table

    def encode(self, ids_NL: Tensor) -> Encoded:
        """Hidden states, and the pooled vector if the encoder has one that the family uses."""
        count, length = ids_NL.shape
        ids_NL = ids_NL.reshape(-1, self.tokenizer.positions)  # every chunk by itself
        mask_NL = None
        # As the pipelines do: a mask for Stable Diffusion if its config says so, never for SDXL
        if self.layer == "last" and getattr(self.model.config, "use_attention_mask", False):
            ends_N1 = (ids_NL == self.core.eos_token_id).int().argmax(dim=1, keepdim=True)
            mask_NL = (torch.arange(ids_NL.shape[1], device=ids_NL.device) <= ends_N1).long()
        out = self.model(ids_NL, attention_mask=mask_NL, output_hidden_states=self.layer == "penultimate")
        hidden_NLD = out.hidden_states[-2] if self.layer == "penultimate" else out.last_hidden_state
        pooled_NP = out.pooler_output if self.layer == "pooled" else getattr(out, "text_embeds", None)
        first_NP = None if pooled_NP is None else pooled_NP[:: self.tokenizer.chunks]
        return Encoded(hidden_NLD.reshape(count, length, -1), first_NP)


class SequenceEncoder:
    """A T5 encoder or a Gemma: the last hidden states, with or without a mask."""

    def __init__(self, reader: Reader, tokenizer: Any, model: Any, chunks: int = 1) -> None:
        self.name, self.model = reader.name, model
        self.tokenizer = prompt_tokenizer(reader, tokenizer, tokenizer.model_max_length, chunks)
        self._table = _checked(reader.name, tokenizer, model.get_input_embeddings())

    @property
    def vocab(self) -> int:
        """Size of the frozen token table; learned vectors have ids from here on."""
        return self._table.num_embeddings

    @property
    def table(self) -> nn.Embedding:
        """The frozen token table."""
        return self._table

    @property
    def learned(self) -> LearnedEmbedding | None:
        """The installed learned vectors."""
        current = self.model.get_input_embeddings()
        return current if isinstance(current, LearnedEmbedding) else None

    def install(self, positive_MD: Tensor, negative_MD: Tensor) -> None:
        """Put learned vectors beside the token table, in place of earlier ones."""
        self.model.set_input_embeddings(LearnedEmbedding(self._table, positive_MD, negative_MD))

    def remove(self) -> None:
        """Put the plain token table back."""
        self.model.set_input_embeddings(self._table)

    def encode(self, ids_NL: Tensor) -> Encoded:
        """Hidden states at L positions; of a longer instruction only the first and the last L - 1 positions are kept,
        as Sana's pipeline does.
        """
        mask_NL = (ids_NL != self.tokenizer.tokenizer.pad_token_id).long() if self.tokenizer.reader.masked else None
        hidden_NLD = self.model(input_ids=ids_NL, attention_mask=mask_NL)[0]
        if ids_NL.shape[1] > self.tokenizer.length:
            kept = [0, *range(ids_NL.shape[1] - self.tokenizer.length + 1, ids_NL.shape[1])]
            hidden_NLD, mask_NL = hidden_NLD[:, kept], None if mask_NL is None else mask_NL[:, kept]
        return Encoded(hidden_NLD, None, mask_NL)


Encoder = ClipEncoder | SequenceEncoder


def frozen(tensor: Tensor, device: torch.device) -> nn.Parameter:
    """A parameter that a learner may let require gradients."""
    # float32 whatever the encoder's dtype: an optimiser's small steps would be lost in float16
    return nn.Parameter(tensor.detach().to(device, torch.float32, copy=True), requires_grad=False)


def _checked(name: str, tokenizer: Any, table: nn.Embedding) -> nn.Embedding:
    if len(tokenizer) > table.num_embeddings:
        sizes = f"{len(tokenizer)} tokens, the table of {name} has {table.num_embeddings}"
        raise ModelError(f"text encoder {name}: its tokenizer has {sizes}; they are not of one model")
    return table
