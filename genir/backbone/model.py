"""Backbone: a loaded text-to-image model as genir uses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from genir import dualprompt
from genir.backbone import caches, latents, lora, loss, tiles
from genir.backbone.about import Geometry, is_told_scale
from genir.backbone.adapter import Adapter
from genir.backbone.fit import check_call, check_fit
from genir.backbone.forward import Forward, forward_process
from genir.backbone.guidance import DenoiserInput, Guidance, Predict, Start, denoise
from genir.backbone.licences import Licence
from genir.backbone.quiet import quiet
from genir.backbone.sdxl import Micro
from genir.backbone.text import Side, TextEncoders
from genir.backbone.whole import WholePipeline
from genir.dualprompt import DualPrompt
from genir.errors import ModelError
from genir.records import Branch, Conditioning

_Micros = Micro | Sequence[Micro] | None


def _never() -> bool:
    return False


@dataclass
class Backbone:
    """A frozen model on one device; made by `backbone.load.load`.

    Conditioning is encoded after `apply`: the learned pair is part of it.
    """

    id: str
    family: str
    """Key of `families.FAMILIES`."""
    adapter: Adapter
    geometry: Geometry
    text: TextEncoders
    vae: Any
    scheduler: Any
    make_pipeline: Callable[[], Any]
    """The diffusers pipeline around the same components, for what only pipelines do (LoRAs, saving)."""
    zero_empty: bool
    """Is the empty negative all zeros instead of the encoded empty text?"""
    licence: Licence
    attention: str
    """sdpa, xformers or flash: what is in use."""
    decoder_tile: int | None = None
    """Pixels of a side: larger images are decoded in tiles."""
    _tuned: DualPrompt | None = field(default=None, init=False)
    """The pair whose LoRA is in the denoiser."""
    _branch: Branch = field(default="both", init=False)
    _limited: Predict | None = field(default=None, init=False)

    @property
    def denoiser(self) -> Any:
        """The UNet or transformer."""
        return self.adapter.denoiser

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.denoiser.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the denoiser and the text encoders."""
        return self.denoiser.dtype

    @property
    def _predict(self) -> Predict:
        return self._limited or self.adapter.predict

    @property
    def is_told_scale(self) -> bool:
        """Was the denoiser distilled with guidance, whose scale it is told?"""
        return is_told_scale(self.denoiser.config)

    @property
    def prediction_type(self) -> str:
        """epsilon, v_prediction, sample or flow_prediction."""
        return self.scheduler.config.get("prediction_type", "epsilon")

    @property
    def num_train_timesteps(self) -> int:
        """Timesteps of the forward process; `loss` takes 0 .. this - 1."""
        return self.scheduler.config.num_train_timesteps

    def apply(self, dual: DualPrompt | None, *, model_hash: str = "") -> None:
        """Install a learned pair; None removes the vectors. Its LoRA is fused into the weights, or stays beside
        them where it acts on one side alone.

        `model_hash` (`files.model_hash` of this model), where given, decides whether the pair was learned on
        this very model; without it (or without one in the pair) the ids must be equal. Raises ModelError: a
        pair of another model, family or width, or any change after a LoRA was taken in.
        """
        if self._tuned and not (dual is self._tuned or (dual and dual.sha256 == self._tuned.sha256 != "")):
            raise ModelError("the LoRA of another dual prompt is in this model: load the model again")
        if dual is not None and isinstance(self.adapter, WholePipeline):
            self.adapter.refuse("use a dual prompt (set dual=null; `negative` is a text)")
        if dual is not None:
            dualprompt.check(dual, dual.sha256[:12] or "in memory")
            check_fit(dual, self.id, self.family, self.adapter, self.text.encoders, model_hash)
            if dual.lora and not self._tuned:
                with quiet():
                    take_in = lora.fuse if dual.lora_branch == "both" else lora.put_beside
                    take_in(self.make_pipeline(), dual.lora, name="of the dual prompt")
                self.limit_lora(dual.lora_branch)
                self._tuned = dual
        self.text.apply(dual)

    def limit_lora(self, branch: Branch) -> None:
        """Let the LoRA beside the weights act on images that are told the prompt of one side only; what is encoded
        from now on says which these are.
        """
        if branch != "both":
            self._branch, self._limited = branch, lora.on_rows(self.adapter.predict, self.denoiser)

    def vectors(self) -> dict[Side, dict[str, nn.Parameter]]:
        """The installed learned vectors by side and key (float32, frozen): a learner lets them require gradients."""
        return self.text.vectors()

    def encode_positive(self, texts: Sequence[str]) -> Conditioning:
        """Conditioning of N prompts, with the learned positive vectors if a pair is installed."""
        return self._marked(self.text.encode(texts, "positive"), "positive")

    def encode_negative(self, text: str, count: int) -> Conditioning:
        """The negative side for `count` images: the learned vectors, then `text`.

        Without a learned pair an empty text is `encode_empty`.
        """
        if self.text.dual is None and not text:
            return self.encode_empty(count)
        return self._marked(self.text.encode([text], "negative"), "negative").repeated(count)

    def encode_empty(self, count: int) -> Conditioning:
        """The plain unconditional side for `count` images, as the pipelines have it without a negative prompt."""
        one = self.text.encode([""], None)
        if self.zero_empty and one.pooled_NP is not None:
            zeros = torch.zeros_like(one.embeds_NLD), torch.zeros_like(one.pooled_NP)
            one = replace(one, embeds_NLD=zeros[0], pooled_NP=zeros[1])
        return self._marked(one, None).repeated(count)

    def _marked(self, told: Conditioning, side: Side | None) -> Conditioning:
        """Does the LoRA act on these images?"""
        if self._branch == "both":
            return told
        return replace(told, tuned_N=told.embeds_NLD.new_full((len(told.embeds_NLD),), float(side == self._branch)))

    @torch.no_grad()
    def generate(
        self,
        positive: Conditioning,
        negative: Conditioning | None,
        *,
        size_HW: tuple[int, int],
        seeds: Sequence[int],
        steps: int,
        guidance: Guidance,
        empty: Conditioning | None = None,
        micro: Micro | None = None,
        should_stop: Callable[[], bool] = _never,
        start: Start | None = None,
        tile: int | None = None,
    ) -> tuple[Tensor, list[bool]]:
        """(uint8 RGB images (N, 3, H, W) on the CPU, for each image: did the decoder return NaN or
        infinity?).

        `negative` may be None where no step is guided by it, `empty` where guidance.delay is 0; with `start` the
        images are edited (SDEdit); with `tile` (pixels of a side) larger ones are denoised in tiles. Image i depends
        on seeds[i], not on its neighbours' seeds. Raises ConfigError for sizes, steps or sides that do not fit,
        Stopped when `should_stop()`, asked before every step, says so.
        """
        if isinstance(self.adapter, WholePipeline):
            sides = {"positive": positive, "negative": negative}
            check_call(sides, size_HW, len(seeds), steps, self.geometry.multiple, self.num_train_timesteps)
            if start is not None or tile is not None:
                self.adapter.refuse("edit pictures or work in tiles")
            options = {"size_HW": size_HW, "seeds": seeds, "steps": steps, "guidance": guidance}
            return self.adapter.generate(positive, negative, **options, should_stop=should_stop)
        rows = self.sample_latents(
            positive,
            negative,
            size_HW=size_HW,
            seeds=seeds,
            steps=steps,
            guidance=guidance,
            empty=empty,
            micro=micro,
            should_stop=should_stop,
            start=start,
            tile=tile,
        )
        return self.decode_latents(rows)

    @torch.no_grad()
    def sample_latents(
        self,
        positive: Conditioning,
        negative: Conditioning | None,
        *,
        size_HW: tuple[int, int],
        seeds: Sequence[int],
        steps: int,
        guidance: Guidance,
        empty: Conditioning | None = None,
        micro: Micro | None = None,
        should_stop: Callable[[], bool] = _never,
        start: Start | None = None,
        tile: int | None = None,
    ) -> Tensor:
        """`generate` without the decoder: latents (N, C, H / f, W / f), f = geometry.factor."""
        sides, geometry = {"positive": positive, "negative": negative, "empty": empty}, self.geometry
        check_call(sides, size_HW, len(seeds), steps, geometry.multiple, self.num_train_timesteps)
        passes = guidance.of_passes(self.is_told_scale)
        predict = caches.remembering(self._predict, self.denoiser)
        latent_HW = seen_HW = size_HW[0] // geometry.factor, size_HW[1] // geometry.factor
        if tile is not None and tile < max(size_HW):  # what the denoiser sees has the size of a tile
            most = tile // geometry.multiple * geometry.multiple // geometry.factor
            seen_HW = min(latent_HW[0], most), min(latent_HW[1], most)
            predict = tiles.tiled(predict, seen_HW)
        told = partial(self._told, latent_HW=seen_HW, micro=micro, scale=guidance.scale)
        return denoise(
            predict,
            self.scheduler,
            (self.adapter.channels, *latent_HW),
            told(positive, negative=False),
            negative and told(negative, negative=True),
            empty and told(empty, negative=True),
            seeds=seeds,
            steps=steps,
            guidance=passes,
            should_stop=should_stop,
            start=start,
            timing=self.adapter.timing(self.scheduler, steps, seen_HW),
            dtype=torch.float32 if self.family == "sana" else None,  # as its pipeline does
        )

    @torch.no_grad()
    def decode_latents(self, latents_NCHW: Tensor) -> tuple[Tensor, list[bool]]:
        """What `generate` returns, of latents as `encode_images` and `sample_latents` give them."""
        tile = None if self.decoder_tile is None else max(1, self.decoder_tile // self.geometry.factor)
        return latents.decode(self.vae, latents_NCHW, tile)

    @torch.no_grad()
    def encode_images(self, images_NCHW: Tensor, seeds: Sequence[int]) -> Tensor:
        """Latents (float32, as the denoiser knows them) of uint8 RGB images (N, 3, H, W); one seed each."""
        if isinstance(self.adapter, WholePipeline):
            self.adapter.refuse("encode pictures")
        return latents.encode(self.vae, images_NCHW, [torch.Generator().manual_seed(seed) for seed in seeds])

    def loss(
        self,
        latents_NCHW: Tensor,
        conditioning: Conditioning,
        *,
        noise_NCHW: Tensor,
        timesteps_N: Tensor,
        micro: _Micros = None,
    ) -> Tensor:
        """Denoising loss (N,) of clean latents, differentiable.

        Noise has the latents' shape; timesteps are int64 0 .. num_train_timesteps - 1. All are on the device.
        `micro` is one for all images or one each. A model that is told the guidance scale is told 1: pictures are not
        guided. Raises ModelError for a model whose forward process is not known.
        """
        inputs = self._told(conditioning, latents_NCHW.shape[-2:], micro, negative=False)
        return loss.denoising_loss(self._predict, self.process, latents_NCHW, noise_NCHW, timesteps_N, inputs)

    def predict_clean(
        self, noisy_NCHW: Tensor, t: int, positive: Conditioning, negative: Conditioning, scale: float
    ) -> Tensor:
        """Clean latents (float32, differentiable) of a guided step at timestep `t`; images are told their own size."""
        latent_HW = noisy_NCHW.shape[-2:]
        sides = self._told(negative, latent_HW, None, True), self._told(positive, latent_HW, None, False)
        return loss.guided_clean(self._predict, self.process, noisy_NCHW, t, *sides, scale)

    def _told(
        self, side: Conditioning, latent_HW: Sequence[int], micro: _Micros, negative: bool, scale: float = 1.0
    ) -> DenoiserInput:
        size_HW = latent_HW[0] * self.geometry.factor, latent_HW[1] * self.geometry.factor
        inputs = self.adapter.inputs(side, size_HW, micro or Micro(), negative)
        scale_N = torch.full((len(side.embeds_NLD),), scale, device=self.device) if self.is_told_scale else None
        return replace(inputs, scale_N=scale_N, tuned_N=side.tuned_N)

    @cached_property
    def process(self) -> Forward:
        """The forward process that the denoiser was trained on; raises ModelError for a model without one."""
        return forward_process(self.scheduler)
