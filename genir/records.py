"""What travels between the steps.

Shape suffixes used in names everywhere: N images of a batch, C channels, H rows, W columns, L tokens,
D width of a text encoder, P width of a pooled text vector, M learned vectors. Pixels between modules are uint8 RGB
0..255 in CHW order; floats stay inside a module.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy as np
    import torch
    from torch import Tensor

Score = float | int | bool | str | None
"""One measured number of one image, or words about it; None means "not measured" and is stored as a typed null."""

Columns = dict[str, Literal["float", "int", "bool", "string"]]
"""Column name -> type, in the order in which columns are stored."""


NSFW_SHOWN = 0.2
"""From this score on a picture is not shown as it is: below, the network's authors call it safe."""

POSITIVE_TEMPLATE = "A {tokens} image. {caption}"
NEGATIVE_TEMPLATE = "A {tokens} image."
"""Texts around the vectors of a learned pair, after GenIR's figure 2 without its commas, which cost positions."""

Branch = Literal["both", "positive", "negative"]
"""Passes of guidance, by the prompt that they are told."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One record of a prompt file."""

    text: str
    category: str = ""
    id: str = ""
    negative: str = ""
    """For tools that take one a prompt; `genir generate` uses the run's."""
    tags: tuple[str, ...] = ()
    source: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """One image to make: a pure function of the plan, never of rank, batch, world size or time."""

    key: str
    """Nine digits."""
    prompt: Prompt
    seed: int
    """Seed of this image's own noise generator, 0 .. 2**63 - 1."""
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Photograph:
    """One photograph to prepare: a pure function of the plan, as a `Task` is."""

    key: str
    """Nine digits."""
    name: str
    """Its file, relative to the folder of photographs."""
    height: int
    width: int
    """Size in pixels to which it is brought."""


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What the text encoders tell the denoiser about a batch of N images."""

    embeds_NLD: Tensor
    pooled_NP: Tensor | None
    """Only families with a pooled text vector (SDXL) have one."""
    truncated: tuple[bool, ...]
    """For each image: did the text encoder cut the prompt?"""
    mask_NL: Tensor | None = None
    """1 for tokens, 0 for padding; only families that mask (PixArt, Sana) have one."""
    texts: tuple[str, ...] = ()
    """The prompts themselves, for families that only their pipeline's call encodes."""
    tuned_N: Tensor | None = None
    """1 where the LoRA of a dual prompt acts, else 0; None: it acts on every image alike."""

    def rows(self, part: slice) -> Conditioning:
        """The conditioning of some of the images."""
        return self._each(lambda tensor: tensor[part], self.truncated[part], self.texts[part])

    def repeated(self, count: int) -> Conditioning:
        """The conditioning of one image as that of `count` equal ones."""
        return self._each(
            lambda tensor: tensor.expand(count, *tensor.shape[1:]), self.truncated * count, self.texts * count
        )

    def to(self, device: torch.device | str) -> Conditioning:
        """The same on another device."""
        return self._each(lambda tensor: tensor.to(device), self.truncated, self.texts)

    def _each(
        self, change: Callable[[Tensor], Tensor], truncated: tuple[bool, ...], texts: tuple[str, ...]
    ) -> Conditioning:
        pooled_NP = None if self.pooled_NP is None else change(self.pooled_NP)
        mask_NL = None if self.mask_NL is None else change(self.mask_NL)
        tuned_N = None if self.tuned_N is None else change(self.tuned_N)
        return Conditioning(change(self.embeds_NLD), pooled_NP, truncated, mask_NL, texts, tuned_N)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gates say of one image."""

    verdict: Literal["kept", "rejected", "error"]
    reason: str = ""
    """The first failing check in gate order ("face", "signal.entropy", ...) or "error:<class>"."""


@dataclass(frozen=True, slots=True)
class Check:
    """One threshold of a gate: a score outside of its bounds rejects the image."""

    reason: str
    """What the row of a rejected image says: "face", "signal.entropy", ..."""
    column: str
    """Of the table, that holds the score."""
    low: float | None = None
    """Smallest allowed score; None does not bound."""
    high: float | None = None
    """Largest allowed score; None does not bound."""
    reaching: bool = False
    """A score equal to `high` is rejected too."""

    def fails(self, score: Score) -> bool:
        """Is the score outside? One that could not be computed (None, NaN) is inside no bounds."""
        if score is None or isinstance(score, str):
            return True
        above_low = self.low is None or score >= self.low
        below_high = self.high is None or (score < self.high if self.reaching else score <= self.high)
        return not (above_low and below_high)

    def in_words(self) -> str:
        """`face < 0.3`, `entropy >= 5.2`."""
        name = self.reason.rpartition(".")[2]
        low = [] if self.low is None else [f"{name} >= {self.low:g}"]
        high = [] if self.high is None else [f"{name} {'<' if self.reaching else '<='} {self.high:g}"]
        return ", ".join(low + high)


def first_failing(checks: Iterable[Check], scores: Mapping[str, Score]) -> str:
    """The reason of the first check that fails, or the empty string."""
    return next((check.reason for check in checks if check.fails(scores.get(check.column))), "")


PRIVATE = {
    "face": "face_score",
    "person": "person_score",
    "nsfw": "nsfw_score",
    "judge.privacy": "judge_privacy",
    "judge.nsfw": "judge_nsfw",
}
"""Reasons that are about persons, and the columns of their scores."""


def is_private(reason: str) -> bool:
    """Was a person seen in an image rejected for this reason? Then its pixels are never stored or shown."""
    return reason in PRIVATE


def is_unseen(scores: Mapping[str, Any]) -> bool:
    """Was a gate that looks for persons not asked? Costly ones are not, where another gate rejects first: then nobody
    knows who is in the picture, and it is treated as private.
    """
    return any(scores.get(column, 0) is None for column in PRIVATE.values())


def is_in_sight(reason: str, scores: Mapping[str, Any]) -> bool:
    """May a person be seen, whatever the verdict? Then the picture is only shown beyond recognition."""
    counted = any(scores.get(name) for name in ("face_count", "person_count", "judge_privacy", "judge_nsfw"))
    return is_private(reason) or is_unseen(scores) or counted or (scores.get("nsfw_score") or 0) >= NSFW_SHOWN


class Judged(Protocol):
    """One task's outcome: a `Sample`, or what another command makes of its tasks."""

    verdict: Verdict | None


class Pictured(Judged, Protocol):
    """An outcome that the gates can score."""

    @property
    def key(self) -> str:
        """Nine digits."""
        ...

    @property
    def prompt(self) -> str:
        """What the image shows, for gates that ask; "" where nobody says."""
        ...

    pixels_CHW: np.ndarray | None
    """uint8 RGB; None: there are none."""
    nonfinite: bool
    batch_executed: int | None
    """Set by the gates where they could score a batch only one by one."""
    error: str
    scores: dict[str, Score]


@dataclass(slots=True)
class Sample:
    """One task after sampling; the gates fill in scores and verdict."""

    task: Task
    pixels_CHW: np.ndarray | None
    """uint8 RGB; None when sampling failed."""
    nonfinite: bool = False
    """The decoder returned NaN or infinity somewhere in this image (those pixels are black)."""
    truncated: bool = False
    batch_executed: int | None = None
    """Batch size that really ran, in the model or a gate, when it is not the planned one (out of memory, a failing
    neighbour).
    """
    error: str = ""
    scores: dict[str, Score] = field(default_factory=dict)
    verdict: Verdict | None = None

    @property
    def key(self) -> str:
        """Nine digits."""
        return self.task.key

    @property
    def prompt(self) -> str:
        """The task's."""
        return self.task.prompt.text
