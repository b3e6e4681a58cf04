"""What is learned: the vectors of a pair, and a LoRA beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from genir import seeds
from genir.backbone import lora
from genir.backbone.initial import initial_pooled, initial_vectors
from genir.dualprompt import DualPrompt

if TYPE_CHECKING:
    from torch import Tensor, nn

    from genir.backbone.model import Backbone
    from genir.config.learn import Learn

MAX_GROWTH = 2.0  # output mode: largest norm of a vector, relative to the longest one of its side at the beginning


class Learned:
    """The parameters of one run, installed in a backbone."""

    def __init__(self, backbone: Backbone, config: Learn, start: DualPrompt | None, model_hash: str) -> None:
        """Install `start`, or vectors that say the init words, and let them require gradients.

        The LoRA of `start` is fused; a new one learns beside it, and the file gets both as one.
        """
        self._backbone, self._config, self._model_hash = backbone, config, model_hash
        self._begun = start or self._from_words()
        backbone.apply(self._begun, model_hash=model_hash)
        sides = backbone.vectors()
        self.vectors = [*sides["positive"].values(), *sides["negative"].values()]
        for vector in self.vectors:
            vector.requires_grad_(True)
        self.reference = [vector.detach().clone() for vector in self.vectors]
        self.lora: list[nn.Parameter] = []
        if config.lora is not None:
            seed = seeds.derive(config.seed, "lora", "learn")
            self.lora = lora.attach(backbone.denoiser, config.lora.rank, config.lora.targets, seed)
            backbone.limit_lora(config.lora.branch)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All of them, in a fixed order."""
        return [*self.vectors, *self.lora]

    @torch.no_grad()
    def clamp(self) -> None:
        """Keep output-mode vectors near the norms that the denoiser's attention knows."""
        if self._begun.mode == "output":
            for vector, begun in zip(self.vectors, self.reference, strict=True):
                if vector.ndim == 2:  # not what is added to the pooled text
                    longest = MAX_GROWTH * begun.norm(dim=1).max()
                    vector.mul_((longest / vector.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1.0))

    def dual(self, step: int) -> DualPrompt:
        """The pair as it is now."""
        begun, config = self._begun, self._config
        tuned = lora.tensors(self._backbone.denoiser) if self.lora else {}
        sides, how = self._backbone.vectors(), config.meaning()
        how["data"]["folder"] = None  # the file travels; the name of a folder here is nobody's business
        return DualPrompt(
            begun.mode,
            {name: vector.detach().clone() for name, vector in sides["positive"].items()},
            {name: vector.detach().clone() for name, vector in sides["negative"].items()},
            model_id=self._backbone.id,
            family=self._backbone.family,
            template_positive=begun.template_positive,
            template_negative=begun.template_negative,
            model_hash=self._model_hash,
            step=step,
            config=how,
            lora=lora.summed(begun.lora, tuned),
            lora_branch=config.lora.branch if config.lora else begun.lora_branch,
        )

    def _from_words(self) -> DualPrompt:
        config, backbone = self._config, self._backbone
        sides = [
            initial_vectors(backbone, config.mode, config.words.positive, config.tokens.positive),
            initial_vectors(backbone, config.mode, config.words.negative, config.tokens.negative),
        ]
        if config.learn_pooled and backbone.adapter.pooled_width is not None:
            words = (config.words.positive, config.words.negative)
            sides = [side | {"pooled": initial_pooled(backbone, told)} for side, told in zip(sides, words, strict=True)]
        return DualPrompt(
            config.mode,
            *sides,
            model_id=backbone.id,
            family=backbone.family,
            template_positive=config.template.positive,
            template_negative=config.template.negative,
        )


def copy_into(parameters: list[nn.Parameter], values: list[Tensor]) -> None:
    """Set the parameters of a resumed run."""
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)
