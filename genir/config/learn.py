"""The configuration of `genir learn`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from genir.config.base import Strict
from genir.config.gates import Gates, GatesOrFile
from genir.config.generate import GuidanceConfig, PromptPaths, Sizes
from genir.config.shared import FilePath, Model, ModelOrId
from genir.records import NEGATIVE_TEMPLATE, POSITIVE_TEMPLATE, Branch

Origins = tuple[str, ...] | None
Weight = Annotated[float, Field(ge=0.0, description="of this objective in the sum; 0 leaves it out")]


class Data(Strict):
    """Which pictures are learned from."""

    folder: FilePath = Field(description="training set in imagefolder layout; `genir prepare` makes one")
    positives: Origins = Field(default=None, description="origins of the positives (photograph, ...); null: all")
    negatives: Origins = Field(default=None, description="origins of the negatives (sdedit, ...); null: all")


class Sides(Strict):
    """Learned vectors of each side."""

    positive: int = Field(default=8, ge=1, le=75, description="vectors of the positive side")
    negative: int = Field(default=8, ge=1, le=75, description="vectors of the negative side")


class Words(Strict):
    """What each side says before anything is learned."""

    positive: str = Field(
        default="professional photo, highly detailed, sharp focus, crisp fine texture",
        min_length=1,
        description="repeated or cut to the number of vectors",
    )
    negative: str = Field(
        default="low quality, blurry, over-smooth, noise, jpeg artifacts, deformation",
        min_length=1,
        description="likewise",
    )


class Template(Strict):
    """Texts around the learned vectors in tokens mode."""

    positive: str = Field(default=POSITIVE_TEMPLATE, description="of the positive side")
    negative: str = Field(default=NEGATIVE_TEMPLATE, description="a caption here would cancel the content guidance")

    @field_validator("positive", "negative")
    @classmethod
    def _places(cls, template: str) -> str:
        if template.count("{tokens}") != 1 or template.count("{caption}") > 1:
            raise ValueError("needs {tokens} exactly once and {caption} at most once")
        return template


class Denoise(Strict):
    """GenIR's objective: the denoising loss of positives and negatives, each under its own prompt."""

    weight: Weight = 1.0
    ratio: float = Field(default=0.5, ge=0.0, lt=1.0, description="share of negatives among the images")


class Pair(Strict):
    """Direct preference optimisation on a positive and its own negative."""

    weight: Weight = 0.0
    beta: float = Field(
        default=500.0, gt=0.0, description="how far the prompts may leave their beginning; larger: less"
    )


class Reward(Strict):
    """A classifier's opinion of what the guided model would make."""

    weight: Weight = 0.0
    scale: float = Field(default=5.0, ge=1.0, le=100.0, description="CFG scale inside training")
    steps: int = Field(default=20, ge=3, le=1000, description="DDIM steps; the last third is where a step is learned")
    classifier_steps: int = Field(default=500, ge=1, description="steps in which the classifier is trained")


class Objectives(Strict):
    """Composed by weights; 0 leaves one out."""

    denoise: Denoise = Denoise()
    pair: Pair = Pair()
    reward: Reward = Reward()

    @model_validator(mode="after")
    def _something(self) -> Objectives:
        if not (self.denoise.weight or self.pair.weight or self.reward.weight):
            raise ValueError("all weights are 0: nothing would be learned")
        return self


class LoraConfig(Strict):
    """Attention tuning; travels in the dual-prompt file."""

    rank: int = Field(default=8, ge=1, le=1024, description="of the update of every matrix")
    targets: tuple[Literal["attn1", "attn2"], ...] = Field(
        default=("attn2",), min_length=1, description="attn2: attention to the text; attn1: self-attention"
    )
    branch: Branch = Field(
        default="both",
        description="pass that it acts on; both is fused at generation, one side stays beside the weights",
    )


class LearningRate(Strict):
    """AdamW's, reached after the warm-up."""

    vectors: float = Field(default=1e-3, gt=0.0, description="of the learned vectors")
    lora: float = Field(default=1e-4, gt=0.0, description="of the LoRA")


class Validation(Strict):
    """Fixed prompts, generated and judged while learning; decides which checkpoint is taken."""

    every: int | None = Field(default=250, ge=1, description="steps; null: never, the last checkpoint is taken")
    prompts: PromptPaths = Field(default=("prompts/bank.jsonl",), description="prompt files")
    count: int = Field(default=16, ge=1, description="prompts, evenly spread over the files")
    batch: int = Field(default=4, ge=1, description="images denoised together")
    steps: int = Field(default=20, ge=1, le=1000, description="denoising steps")
    guidance: GuidanceConfig = GuidanceConfig()
    gates: GatesOrFile = Field(default=Gates(), description="as those of genir generate; or a file of them")
    distance: Literal["scene"] | None = Field(
        default=None, description="scene: also the kernel distance to the positives, in features made for 128 pixels"
    )


class Checkpoint(Strict):
    """When the state is saved."""

    every: int = Field(default=100, ge=1, description="steps")


class Learn(Strict):
    """All keys of `genir learn`."""

    run: FilePath = Field(default="outputs/learn", min_length=1, description="run directory")
    seed: int = Field(default=0, ge=0, description="the run's seed")
    model: ModelOrId = Field(
        default=Model(), description="text-to-image model; its dtype is that of the frozen weights"
    )
    data: Data
    size: Sizes = Field(default=None, description="[rows, columns], or a list of them (aspect buckets); null: native")
    mode: Literal["tokens", "output"] = Field(
        default="tokens", description="vectors in the input of the text encoders (GenIR), or behind them (after ReNeg)"
    )
    tokens: Sides = Field(default=Sides(), description="numbers of learned vectors")
    words: Words = Words()
    template: Template = Template()
    learn_pooled: bool = Field(
        default=False, description="output mode, SDXL: also learn what is added to the pooled text"
    )
    objectives: Objectives = Objectives()
    lora: LoraConfig | None = None
    learning_rate: LearningRate = LearningRate()
    schedule: Literal["constant", "cosine"] = Field(default="constant", description="after the warm-up")
    warmup: int = Field(default=0, ge=0, description="steps over which the learning rate rises")
    weight_decay: float = Field(default=0.0, ge=0.0, description="of the LoRA; the vectors have none")
    clip: float = Field(default=1.0, gt=0.0, description="largest norm of a step's gradient")
    caption_dropout: float = Field(default=0.1, ge=0.0, le=1.0, description="share of positives without their caption")
    timesteps: tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]] = Field(
        default=(0.0, 1.0), description="range of noise levels learned at: 0 clean, 1 pure noise"
    )
    micro: Literal["original", "generation"] = Field(
        default="original", description="SDXL is told the picture's own size and crop, or what it is told at generation"
    )
    batch: int = Field(default=4, ge=1, description="images (pair: pairs) a forward pass")
    accumulation: int = Field(default=1, ge=1, description="forward passes a step, shared by all processes")
    steps: int = Field(default=1000, ge=1, description="may grow where the schedule is constant")
    gradient_checkpointing: bool = Field(default=False, description="less memory, about a third more time")
    validation: Validation = Validation()
    checkpoint: Checkpoint = Checkpoint()
    tracker: Literal["tensorboard", "wandb", "mlflow", "aim", "comet_ml", "trackio"] | None = Field(
        default=None, description="through accelerate, beside log.jsonl"
    )
    threads: int = Field(default=1, ge=1, description="CPU threads a process")
    device: Literal["auto", "cpu"] = Field(default="auto", description="auto: the accelerator of the local rank")

    @field_validator("run")
    @classmethod
    def _local(cls, run: str) -> str:
        if "://" in run:
            raise ValueError("a learning run cannot lie in an object store; give a local folder")
        return run

    @model_validator(mode="after")
    def _sane(self) -> Learn:
        if self.timesteps[0] >= self.timesteps[1]:
            raise ValueError(f"timesteps {list(self.timesteps)}: the first must be below the second")
        if self.mode == "output" and self.tokens.positive != self.tokens.negative:
            raise ValueError("tokens: output mode needs as many negative vectors as positive ones")
        if self.learn_pooled and self.mode == "tokens":
            raise ValueError("learn_pooled: is for output mode; in tokens mode the pooled text follows the tokens")
        if self.gradient_checkpointing and self.lora is not None and self.lora.branch != "both":
            raise ValueError(
                f"lora.branch {self.lora.branch}: not beside gradient_checkpointing, which computes layers again when "
                "another pass is under way; set one of them to its default"
            )
        return self

    def meaning(self) -> dict[str, Any]:
        """What makes two runs the same run; all else may change between launches of one run."""
        growth = {"run", "device", "tracker", "checkpoint", "gradient_checkpointing"}
        return self.model_dump(mode="json", exclude=growth | ({"steps"} if self.schedule == "constant" else set()))
