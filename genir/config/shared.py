"""Keys that several commands share: one habit serves all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from genir.config.base import Strict


def _as_id(value: Any) -> Any:
    return {"id": value} if isinstance(value, str) else value


def _as_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _at_home(path: str) -> str:
    try:
        return str(Path(path).expanduser()) if path.startswith("~") else path
    except RuntimeError:
        raise ValueError("no such user's home directory; write the folder in full") from None


FilePath = Annotated[str, AfterValidator(_at_home)]
"""A file or folder; `~` is the home directory, which a shell expands only at the beginning of a word."""


class Scheduler(Strict):
    """A diffusers scheduler made from the model's own scheduler config; further keys are its options."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(description="diffusers class name, such as EulerDiscreteScheduler")

    def options(self) -> dict[str, Any]:
        """The options beside the name."""
        return dict(self.model_extra or {})


class Lora(Strict):
    """A LoRA fused into the model."""

    id: FilePath = Field(description="file, folder or hub id")
    weight: float = Field(default=1.0, description="scale at which it is fused")


class Model(Strict):
    """Which text-to-image model, and which parts of it."""

    id: FilePath = Field(default="embedded", description="hub id, folder, single file, or `embedded`")
    revision: str | None = Field(default=None, description="hub revision (a commit hash pins the run)")
    variant: str | None = Field(default=None, description="weight variant, such as fp16")
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        default="auto",
        description="auto: float32 on a CPU, elsewhere the half precision of its family",
    )
    vae: FilePath | None = Field(default=None, description="another VAE: hub id or folder")
    config: FilePath | None = Field(
        default=None, description="for a single file: folder or hub id of its component configs"
    )
    scheduler: Annotated[Scheduler | None, BeforeValidator(_as_name, json_schema_input_type=Scheduler | str | None)] = (
        Field(default=None, description="another scheduler, by name or with options; null: the model's own")
    )
    loras: tuple[Annotated[Lora, BeforeValidator(_as_id, json_schema_input_type=Lora | str)], ...] = Field(
        default=(), description="LoRAs, fused in this order"
    )
    chunks: int = Field(
        default=1, ge=1, le=16, description="CLIP reads 75 tokens of a prompt, or so many times 75, in chunks"
    )
    attention: Literal["auto", "sdpa", "xformers", "flash"] = Field(
        default="auto", description="attention kernels; xformers and flash-attn only on CUDA, else PyTorch SDPA"
    )


ModelOrId = Annotated[Model, BeforeValidator(_as_id, json_schema_input_type=Model | str)]


class ChatConfig(Strict):
    """A language model that is asked."""

    model: FilePath = Field(
        description="the server's name of a model; without url an image-text-to-text model: hub id or folder"
    )
    url: str | None = Field(default=None, description="OpenAI-compatible server, such as http://localhost:8000/v1")
    key: str = Field(default="", description="name of the environment variable with the server's key")
    max_tokens: int = Field(default=300, ge=1, description="longest answer")
    temperature: float = Field(default=0.0, ge=0, le=2, description="of a server's answers; 0: always the likeliest")
    timeout: float = Field(default=60.0, gt=0, description="seconds for a whole request")
    tries: int = Field(default=4, ge=1, description="how often a question is put")
    parallel: int = Field(default=8, ge=1, description="requests at a time")
