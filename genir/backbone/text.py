"""Prompts to conditioning: the text encoders of a family, with learned vectors in their input or output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from genir.backbone.encoders import Encoded, Encoder, frozen
from genir.backbone.tokenizers import PromptTokenizer, fill, layout
from genir.dualprompt import DualPrompt
from genir.records import Conditioning

Side = Literal["positive", "negative"]


@dataclass
class TextEncoders:
    """All text encoders of a model and the learned pair in use."""

    encoders: Sequence[Encoder]
    merge: Callable[[Sequence[Encoded]], Encoded]
    """What the denoiser is told of what the encoders say: the family's adapter has it."""
    tokenizers: Sequence[PromptTokenizer] = ()
    """Of a family that only its pipeline's call encodes, and that has no encoders here."""
    dual: DualPrompt | None = None
    cache: Mapping[tuple[Side, str], Conditioning] | None = None
    """Features by side and text, for a learner of an output-mode pair: the encoders are frozen, so they need not run
    again.
    """

    def __post_init__(self) -> None:
        self._output: dict[Side, dict[str, nn.Parameter]] = {"positive": {}, "negative": {}}
        self._home: torch.device | None = None

    def offload(self) -> None:
        """Move the encoders to the CPU, until the next `encode`, which computes where it always did."""
        if not self.encoders:
            return
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
            self._output["positive"] = {name: frozen(tensor, device) for name, tensor in dual.positive.items()}
            self._output["negative"] = {name: frozen(tensor, device) for name, tensor in dual.negative.items()}
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
        if side and self.cache is not None and all((side, text) in self.cache for text in texts):
            return self._join(stacked([self.cache[side, text] for text in texts]), side)
        return self._join(self.features(texts, side), side)

    def features(self, texts: Sequence[str], side: Side | None) -> Conditioning:
        """What the encoders say of N prompts, before an output-mode pair takes its positions."""
        if self._home is not None:
            self._move(self._home)
        if not self.encoders:
            cut = [any(one.ids([text])[1] for one in self.tokenizers) for text in texts]
            return Conditioning(torch.empty(len(texts), 0, 0), None, tuple(cut), texts=tuple(texts))
        said, cut = [], [False] * len(texts)
        for encoder in self.encoders:
            rows = [self._ids(encoder, text, side) for text in texts]
            cut = [before or now for before, (_, now) in zip(cut, rows, strict=True)]
            said.append(encoder.encode(torch.tensor([ids for ids, _ in rows], device=encoder.model.device)))
        whole = self.merge(said)
        return Conditioning(whole.hidden_NLD, whole.pooled_NP, tuple(cut), whole.mask_NL)

    @torch.no_grad()
    def states_of(self, words: str, count: int) -> Tensor:
        """`count` of the encoded words' own states (count, D), float32, in order, repeated or cut to the number; empty
        where no encoder reads a token in them.
        """
        reader = next((one for one in reversed(self.encoders) if one.tokenizer.reader.gives_way), self.encoders[0])
        found = reader.tokenizer.tokenizer(words, add_special_tokens=False).input_ids
        states_LD = self.features([words], None).embeds_NLD[0]
        first = reader.tokenizer.first
        if reader is self.encoders[-1]:  # encoders in a row: the last one has the last positions
            first += len(states_LD) - reader.tokenizer.length
        rows = torch.arange(count if found else 0) % max(1, min(len(found), reader.tokenizer.most))
        return states_LD[first + rows].float().cpu()

    def _join(self, features: Conditioning, side: Side | None) -> Conditioning:
        learned = self._output[side] if side else {}
        embeds_NLD, pooled_NP, mask_NL = features.embeds_NLD, features.pooled_NP, features.mask_NL
        if "embeds" in learned:
            embeds_NLD = join_output(embeds_NLD, learned["embeds"])
            if mask_NL is not None:
                mask_NL = mask_NL.clone()
                mask_NL[:, -len(learned["embeds"]) :] = 1
        if "pooled" in learned and pooled_NP is not None:
            pooled_NP = pooled_NP + learned["pooled"].to(pooled_NP.dtype)
        return replace(features, embeds_NLD=embeds_NLD, pooled_NP=pooled_NP, mask_NL=mask_NL)

    def _ids(self, encoder: Encoder, text: str, side: Side | None) -> tuple[list[int], bool]:
        tokenizer, dual = encoder.tokenizer, self.dual
        if side == "negative" and dual is not None and dual.mode == "tokens":
            first = encoder.vocab + dual.tokens("positive")
            learned = list(range(first, first + dual.tokens("negative")))
            return tokenizer.ids(fill(dual.template_negative, text, learned), instructed=False)
        # Output mode has as many negative vectors as positive ones, so both sides leave the same room
        pieces, reserved = layout(text, dual if side else None, tokenizer, encoder.vocab)
        return tokenizer.ids(pieces, reserved, instructed=side == "positive")


def side_by_side(said: Sequence[Encoded]) -> Encoded:
    """Encoders that read the same positions, joined along the width; the pooled vector of the last one that has it."""
    pooled = [one.pooled_NP for one in said if one.pooled_NP is not None]
    return Encoded(torch.cat([one.hidden_NLD for one in said], dim=-1), pooled[-1] if pooled else None, said[0].mask_NL)


def stacked(parts: Sequence[Conditioning]) -> Conditioning:
    """One batch of several, in order."""
    pooled = [part.pooled_NP for part in parts if part.pooled_NP is not None]
    masks = [part.mask_NL for part in parts if part.mask_NL is not None]
    tuned = [part.tuned_N for part in parts if part.tuned_N is not None]
    return Conditioning(
        torch.cat([part.embeds_NLD for part in parts]),
        torch.cat(pooled) if pooled else None,
        tuple(cut for part in parts for cut in part.truncated),
        torch.cat(masks) if masks else None,
        tuned_N=torch.cat(tuned) if tuned else None,
    )


def join_output(embeds_NLD: Tensor, learned_MD: Tensor) -> Tensor:
    """Text embeddings whose last M positions (padding) are the learned vectors; the length stays L."""
    count = learned_MD.shape[0]
    learned_NMD = learned_MD.to(embeds_NLD.dtype).expand(embeds_NLD.shape[0], -1, -1)
    return torch.cat([embeds_NLD[:, :-count], learned_NMD], dim=1)
