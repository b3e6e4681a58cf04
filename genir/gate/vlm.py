"""A vision-language model judges: yes or no on semantic errors, privacy and NSFW, and the reason.

After GenIR, which asks Gemini about every image (arXiv 2410.18666, appendix A.1); its words are not published, ours are
`prompts/judge_instruction.txt`. An answer is believed only in its form, and asked for again otherwise.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from genir.chat.ask import Chat, Question, parse_object
from genir.errors import ModelError
from genir.gate import Gate, Scores

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from genir.chat.ask import Model
    from genir.records import Columns

ASKED = ("semantic", "privacy", "nsfw")
LONGEST_REASON = 300
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {name: {"type": "string", "enum": ["yes", "no"]} for name in ASKED}
        | {"reason": {"type": "string"}},
        "required": [*ASKED, "reason"],
        "additionalProperties": False,
    }
)


def judge_gate(model: Model, name: str, instruction: str, tries: int) -> Gate:
    """Ask `model` about every image; its answers stay in the user's cache folder, by image, model and instruction.

    Null where no usable answer came; the reason then says why. Raises ModelError for a model that only describes.
    """
    if not model.is_told:
        raise ModelError(f"gates.judge.chat.model {name}: only describes images and reads no question; choose another")
    chat = Chat(model, Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "genir" / "judge", tries)

    def score(images_NCHW: Tensor, prompts: Sequence[str]) -> list[Scores]:
        questions = [Question(instruction, (_png(image_CHW),), SCHEMA) for image_CHW in images_NCHW.cpu().numpy()]
        answers = chat.ask(questions, parse)
        return [answer.value or {**dict.fromkeys(columns), "judge_reason": answer.error} for answer in answers]

    columns: Columns = {**{f"judge_{asked}": "bool" for asked in ASKED}, "judge_reason": "string"}
    weights = {"judge": hashlib.sha256(json.dumps([model.identity, instruction]).encode()).hexdigest()}
    return Gate(columns, score, weights, costly=True)


def parse(text: str) -> Scores:
    """{"semantic": "yes", ...} -> columns; raises ValueError, worded to follow "the answer ..."."""
    found = parse_object(text, {**dict.fromkeys(ASKED, str), "reason": str})
    for name in ASKED:
        if found[name].strip().lower() not in ("yes", "no"):
            raise ValueError(f"says {found[name][:20]!r} to {name!r}, not yes or no")
    said: Scores = {f"judge_{name}": found[name].strip().lower() == "yes" for name in ASKED}
    return {**said, "judge_reason": " ".join(found["reason"].split())[:LONGEST_REASON]}


def _png(image_CHW: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image_CHW.transpose(1, 2, 0)).save(out, "PNG", compress_level=1)
    return out.getvalue()
