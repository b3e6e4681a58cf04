"""Prompts to conditioning: one or two CLIP text encoders, with learned vectors in their input or output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from genir.backbone.tokenizers import PromptTokenizer, fill, layout
from genir.dualprompt import DualPrompt
from genir.errors import ModelError
from genir.records import Conditioning

if TYPE_CHECKING:
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

Side = Literal["positive", "negative"]


class LearnedEmbedding(nn.Module):
    """A frozen token table and, for ids from `vocab` on, learned vectors: positive ones first, then negative
    ones.

    The vectors are float32 parameters of M x D beside the table, so an optimiser sees nothing else.
    """

    def __init__(self, table: nn.Embedding, positive_MD: Tensor, negative_MD: Tensor):
        super().__init__()
        self.table = table
        self.vocab = table.num_embeddings
        self.positive = _frozen(positive_MD, table.weight.device)
        self.negative = _frozen(negative_MD, table.weight.device)

    @property
    def weight(self) -> Tensor:
        """The frozen table: transformers and diffusers read its dtype and device."""
        return self.table.weight

    def forward(self, ids_NL: Tensor) -> Tensor:
        """Ids (N, L) -> vectors (N, L, D)."""
        embeds_NLD = self.table(ids_NL.clamp(max=self.vocab - 1))
        learned_MD = torch.cat([self.positive, self.negative]).to(embeds_NLD.dtype)
        extra_NLD = learned_MD[(ids_NL - self.vocab).clamp(min=0)]
        return torch.where((ids_NL >= self.vocab).unsqueeze(-1), extra_NLD, embeds_NLD)


class ClipEncoder:
    """One tokenizer with its text encoder; `layer` is the hidden state that the denoiser was trained on.

    A prompt is read in `chunks` pieces, whose hidden states stand side by side; the pooled vector is that of the first,
    as in ComfyUI.
    """

    def __init__(
        self,
        name: str,
        tokenizer: CLIPTokenizer,
        model: CLIPTextModel | CLIPTextModelWithProjection,
        layer: Literal["last", "penultimate"],
        chunks: int = 1,
    ):
        self.name = name
        self.model = model
        self.layer = layer
        self.core: Any = model.text_model if hasattr(model, "text_projection") else model
        # Configs of 2022 say eos_token_id 2: then transformers pools at the largest id, a learned one
        self.core.eos_token_id = tokenizer.eos_token_id
        positions = model.config.max_position_embeddings
        self.tokenizer = PromptTokenizer(tokenizer, min(tokenizer.model_max_length, positions), chunks)
        self._table: nn.Embedding = self.core.embeddings.token_embedding
        if len(tokenizer) > self._table.num_embeddings:
            sizes = f"{len(tokenizer)} tokens, the table of {name} has {self._table.num_embeddings}"
            raise ModelError(f"text encoder {name}: its tokenizer has {sizes}; they are not of one model")

    @property
    def vocab(self) -> int:
        """Size of the frozen token table; learned vectors have ids from here on."""
        return self._table.num_embeddings

    @property
    def width(self) -> int:
        """D, the width of a token vector."""
        return self._table.embedding_dim

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

    def encode(self, ids_NL: Tensor) -> tuple[Tensor, Tensor | None]:
        """(hidden states (N, L, D), projected pooled vector (N, P) if the encoder has one) of token ids."""
        count, length = ids_NL.shape
        ids_NL = ids_NL.reshape(-1, self.tokenizer.positions)  # every chunk by itself
        mask_NL = None
        # As the pipelines do: a mask for Stable Diffusion if its config says so, never for SDXL
        if self.layer == "last" and getattr(self.model.config, "use_attention_mask", False):
            ends_N1 = (ids_NL == self.core.eos_token_id).int().argmax(dim=1, keepdim=True)
            mask_NL = (torch.arange(ids_NL.shape[1], device=ids_NL.device) <= ends_N1).long()
        out = self.model(ids_NL, attention_mask=mask_NL, output_hidden_states=self.layer == "penultimate")
        hidden_NLD = out.last_hidden_state if self.layer == "last" else out.hidden_states[-2]
        pooled_NP = getattr(out, "text_embeds", None)
        first_NP = None if pooled_NP is None else pooled_NP[:: self.tokenizer.chunks]
        return hidden_NLD.reshape(count, length, -1), first_NP


@dataclass
class TextEncoders:
    """All text encoders of a family and the learned pair in use; their outputs are joined along the width."""

    encoders: Sequence[ClipEncoder]
    dual: DualPrompt | None = None
    cache: Mapping[str, Conditioning] | None = None
    """Features by text, for a learner of an output-mode pair: the encoders are frozen, so they need not run again."""

    def __post_init__(self) -> None:
        self._output: dict[Side, dict[str, nn.Parameter]] = {"positive": {}, "negative": {}}
        self._home: torch.device | None = None

    def offload(self) -> None:
        """Move the encoders to the CPU, until the next `encode`, which computes where it always did."""
        self._home = self._home or self.encoders[0].model.device
        self._move(torch.device("cpu"))

    def _move(self, device: torch.device) -> None:
        for encoder in self.encoders:
            model: Any = encoder.model
            model.to(device)

    def apply(self, dual: DualPrompt | None) -> None:
        """Install a checked pair of this model's widths; None removes the one in use."""
        self._output = {"positive": {}, "negative": {}}
        self.cache = None
        for encoder in self.encoders:
            if dual is not None and dual.mode == "tokens":
                encoder.install(dual.positive[encoder.name], dual.negative[encoder.name])
            else:
                encoder.remove()
        if dual is not None and dual.mode == "output":
            device = self.encoders[0].model.device
            self._output["positive"] = {name: _frozen(tensor, device) for name, tensor in dual.positive.items()}
            self._output["negative"] = {name: _frozen(tensor, device) for name, tensor in dual.negative.items()}
        self.dual = dual

    def vectors(self) -> dict[Side, dict[str, nn.Parameter]]:
        """The installed learned vectors by side and key, frozen; a learner lets them require gradients."""
        if self.dual is None or self.dual.mode == "output":
            return self._output
        learned = {encoder.name: encoder.learned for encoder in self.encoders}
        return {
            "positive": {name: module.positive for name, module in learned.items() if module},
            "negative": {name: module.negative for name, module in learned.items() if module},
        }

    def encode(self, texts: Sequence[str], side: Side | None) -> Conditioning:
        """Conditioning of N prompts; `side` None leaves the learned pair out (a plain prompt).

        In output mode the last M positions give way to the learned vectors and the captions are cut to leave
        room.
        """
        if side and self.cache is not None and all(text in self.cache for text in texts):
            return self._join(stacked([self.cache[text] for text in texts]), side)
        return self._join(self.features(texts, side), side)

    def features(self, texts: Sequence[str], side: Side | None) -> Conditioning:
        """What the encoders say of N prompts, before an output-mode pair takes its positions."""
        if self._home is not None:
            self._move(self._home)
        states, pooled_NP = [], None
        cut = [False] * len(texts)
        for encoder in self.encoders:
            rows = [self._ids(encoder, text, side) for text in texts]
            cut = [before or now for before, (_, now) in zip(cut, rows, strict=True)]
            ids_NL = torch.tensor([ids for ids, _ in rows], device=encoder.model.device)
            hidden_NLD, projected_NP = encoder.encode(ids_NL)
            states.append(hidden_NLD)
            pooled_NP = projected_NP if projected_NP is not None else pooled_NP
        return Conditioning(torch.cat(states, dim=-1), pooled_NP, tuple(cut))

    def _join(self, features: Conditioning, side: Side | None) -> Conditioning:
        learned = self._output[side] if side else {}
        embeds_NLD, pooled_NP = features.embeds_NLD, features.pooled_NP
        if "embeds" in learned:
            embeds_NLD = join_output(embeds_NLD, learned["embeds"])
        if "pooled" in learned and pooled_NP is not None:
            pooled_NP = pooled_NP + learned["pooled"].to(pooled_NP.dtype)
        return Conditioning(embeds_NLD, pooled_NP, features.truncated)

    def _ids(self, encoder: ClipEncoder, text: str, side: Side | None) -> tuple[list[int], bool]:
        dual = self.dual
        if side == "negative" and dual is not None and dual.mode == "tokens":
            first = encoder.vocab + dual.tokens("positive")
            learned = list(range(first, first + dual.tokens("negative")))
            return encoder.tokenizer.ids(fill(dual.template_negative, text, learned))
        # Output mode has as many negative vectors as positive ones, so both sides leave the same room
        return encoder.tokenizer.ids(*layout(text, dual if side else None, encoder.vocab))


def stacked(parts: Sequence[Conditioning]) -> Conditioning:
    """One batch of several, in order."""
    pooled = [part.pooled_NP for part in parts if part.pooled_NP is not None]
    return Conditioning(
        torch.cat([part.embeds_NLD for part in parts]),
        torch.cat(pooled) if pooled else None,
        tuple(cut for part in parts for cut in part.truncated),
    )


def join_output(embeds_NLD: Tensor, learned_MD: Tensor) -> Tensor:
    """Text embeddings whose last M positions (padding) are the learned vectors; the length stays L."""
    count = learned_MD.shape[0]
    learned_NMD = learned_MD.to(embeds_NLD.dtype).expand(embeds_NLD.shape[0], -1, -1)
    return torch.cat([embeds_NLD[:, :-count], learned_NMD], dim=1)


def _frozen(tensor: Tensor, device: torch.device) -> nn.Parameter:
    # float32 whatever the encoder's dtype: an optimiser's small steps would be lost in float16
    return nn.Parameter(tensor.detach().to(device, torch.float32, copy=True), requires_grad=False)
