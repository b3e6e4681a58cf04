"""The configuration of `genir annotate`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from genir.config.base import Strict
from genir.config.shared import ChatConfig, FilePath

DomainName = Literal["edge", "lineart", "depth", "normal", "albedo", "segmentation", "openpose"]
CaptionerName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
INSTRUCTION = (
    "Describe this image in one paragraph: what it shows, where things are, materials, colours and light. "
    "Answer with the description alone."
)


class DomainConfig(Strict):
    """Who labels a domain."""

    backend: str = Field(min_length=1, description="name of a backend of the domain; `stored` reads labels from files")
    model: FilePath | None = Field(default=None, description="hub id or folder, or the weight file of a small network")
    detector: FilePath | None = Field(default=None, description="vitpose: hub id or folder of a person detector")
    folder: FilePath | None = Field(default=None, description="stored: holds annotation_<domain>/NAME.png")
    revision: str | None = Field(default=None, description="hub revision of the model (a commit hash pins it)")
    licence: str | None = Field(default=None, description="of the model, where its card does not say it")
    options: dict[str, int | float] = Field(default={}, description="of the backend, such as {steps: 10}")


def _as_backend(value: Any) -> Any:
    return {"backend": value} if isinstance(value, str) else value


class Captioner(ChatConfig):
    """Who writes captions: a model of transformers, or with a url a server's."""

    max_tokens: int = Field(default=300, ge=1, description="longest caption")
    revision: str | None = Field(default=None, description="hub revision of a model without a url")
    licence: str | None = Field(default=None, description="of the model, where its card does not say it")
    instruction: str = Field(default=INSTRUCTION, min_length=1, description="what a model that can be told is told")


class Resize(Strict):
    """Size of the pictures before they are labelled."""

    short: int = Field(ge=64, le=16384, description="short side in pixels; smaller pictures are rejected, not enlarged")


class Checks(Strict):
    """What a label or caption must be, beside what its domain asks for."""

    people: bool = Field(default=True, description="reject captions that speak of people")
    agreement: float | None = Field(
        default=0.0, ge=-1, le=1, description="least agreement of depth and normal labels, -1..1; null: not compared"
    )


class Annotate(Strict):
    """All keys of `genir annotate`."""

    source: FilePath | Annotated[dict[str, FilePath], Field(min_length=1)] = Field(
        description="a genir run, RUN#SELECTION, a folder of photographs, a tar, a folder of tars; or prefix -> place"
    )
    run: FilePath | None = Field(
        default=None, min_length=1, description="where pictures and labels go; null: the labels go into the source run"
    )
    column: str = Field(default="text", min_length=1, description="of a folder's metadata table: the captions")
    resize: Resize | None = Field(default=None, description="{short: 1024} as Joint-1.6M; null: pictures as they are")
    domains: dict[
        DomainName,
        Annotated[DomainConfig, BeforeValidator(_as_backend, json_schema_input_type=DomainConfig | str)],
    ] = Field(default={}, description="domain -> backend, or a mapping {backend, model, ...}")
    captioners: dict[CaptionerName, Captioner] = Field(
        default={}, description="name in the metadata -> model; Jodi's are BLIP2-OPT-2.7b and Qwen2-VL-7b-Instruct"
    )
    commercial: bool = Field(default=False, description="refuse models that do not, or may not, allow commercial use")
    self_check: bool = Field(
        default=True, description="ask every model about a rendered scene first; false is for tests of tiny models"
    )
    checks: Checks = Checks()
    batch: int | None = Field(
        default=None, ge=1, description="pictures between two journal entries; null: the source's"
    )
    threads: int = Field(default=1, ge=1, description="CPU threads a worker; use more workers, not more threads")
    shard_size: int = Field(default=128, ge=1, le=100_000, description="pictures a shard; a run keeps its own shards")
    limit: int | None = Field(
        default=None, ge=1, description="only the first pictures, rounded up to a batch; may grow"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda (of the local rank), cuda:1, mps, ...")

    @model_validator(mode="after")
    def _usable(self) -> Annotate:
        for place in (self.run, self.source):
            if isinstance(place, str) and "://" in place:
                raise ValueError(f"{place}: labels are made of local files, in a local folder")
        if not self.domains and not self.captioners:
            raise ValueError("neither domains nor captioners are set: nothing would be made")
        if "prompt" in self.captioners:
            raise ValueError("captioners.prompt: `prompt` means the run's own prompts; choose another name")
        return self
