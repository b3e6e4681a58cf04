"""The rows of the ablation: what each is told, and how its pair of prompts is learned."""

from dataclasses import dataclass, replace

from genir.backbone.guidance import Guidance
from genir.backbone.sdxl import Micro

GOOD = "sharp, high quality, highly detailed"
BAD = "blurry, low quality, jpeg artifacts, noisy"
GUIDANCE = Guidance(4.0)
MIDDLE = Guidance(4.0, 0.1, 0.9)
OWN_SIZE = Micro()
TOKENS = "configs/learn_embedded.yaml"
OUTPUT = "configs/learn_embedded_output.yaml"
"""The configurations of the pairs that ship."""


@dataclass(frozen=True)
class Row:
    """Everything is as in the plain row unless said here."""

    about: str
    learn: tuple[str, ...] = ()
    """Configuration and overrides for `genir learn`; none: no pair is learned."""
    start: str = ""
    """The row whose pair learning goes on from; "": words."""
    pair: str = ""
    """A finished pair instead: its file."""
    swapped: bool = False
    """Positive and negative vectors exchanged."""
    oracle: bool = False
    suffix: str = ""
    negative: str = ""
    micro: Micro = OWN_SIZE
    guidance: Guidance = GUIDANCE
    seeds: int = 1
    """Of learning and of the noise: rows are compared with equal noise."""


LAST = "validation.every=null"
"""The last checkpoint is taken: none is chosen by anything."""
PAPER = (
    *(TOKENS, LAST, "tokens={positive: 8, negative: 8}"),
    'template={positive: "A {tokens} image. {caption}", negative: "A {tokens} image."}',
    'words={positive: "4k, highly detailed, professional", negative: "deformation, low quality, over-smooth"}',
    *("data.positives=[photograph]", "data.negatives=[sdedit]"),
)
MORE = (TOKENS, LAST, "batch=4", "steps=60", "warmup=5", "learning_rate.vectors=0.0005")
"""From the pair of `tokens` on."""
PAIR = (*MORE, "objectives.pair.weight=1.0")
REWARD = (*MORE, "objectives.reward={weight: 0.2, scale: 4.0, steps: 8, classifier_steps: 1500}")
LORA = (*MORE, "lora.rank=8")
LORA_POSITIVE = (*MORE, "lora={rank: 8, branch: positive}")
BEST = "reward_interval"
"""Also on the development scenes."""
COMPARED = (
    ("tokens", "words_negative"),
    ("tokens", "paper"),
    ("pair", "more"),
    ("reward", "more"),
    ("interval", "plain_interval"),
    ("interval", "tokens"),
    ("reward_interval", "plain_interval"),
    ("reward_interval", "paper"),
    ("reward_interval", "paper_interval"),
)
"""Is the first nearer to renders than the second?"""

ROWS = {
    "plain": Row("caption, empty negative", seeds=3),
    "words": Row(f"caption, {GOOD}", suffix=GOOD),
    "words_negative": Row(f"the same; negative: {BAD}", suffix=GOOD, negative=BAD, seeds=3),
    "micro": Row(
        "SDXL's original size 256 on the positive side, 64 on the negative",
        micro=Micro(original=(256, 256), negative_original=(64, 64)),
    ),
    "paper": Row("GenIR: its template and words, SDEdit negatives, denoising loss", learn=PAPER, seeds=3),
    "tokens": Row("tokens: the model's own words and their places, degraded negatives", learn=(TOKENS, LAST), seeds=3),
    "output": Row("the same vectors behind the encoders", learn=(OUTPUT, LAST), seeds=3),
    "more": Row("tokens, 60 steps more", learn=MORE, start="tokens", seeds=3),
    "pair": Row("the same 60 steps + pair objective", learn=PAIR, start="tokens", seeds=3),
    "reward": Row("the same 60 steps + reward", learn=REWARD, start="tokens", seeds=3),
    "lora": Row("the same 60 steps + LoRA", learn=LORA, start="tokens"),
    "lora_positive": Row("the same, on the positive pass alone", learn=LORA_POSITIVE, start="tokens"),
    "interval": Row("tokens, guided in the middle of the steps", learn=(TOKENS, LAST), guidance=MIDDLE, seeds=3),
    "reward_interval": Row("reward, guided in the middle", learn=REWARD, start="tokens", guidance=MIDDLE, seeds=3),
    "plain_interval": Row("plain, guided in the middle", guidance=MIDDLE, seeds=3),
    "paper_interval": Row("paper, guided in the middle", learn=PAPER, guidance=MIDDLE, seeds=3),
    "delay": Row("tokens, plain negative at first", learn=(TOKENS, LAST), guidance=Guidance(4.0, delay=0.2)),
    "rescale": Row("tokens, guidance rescaled by 0.7", learn=(TOKENS, LAST), guidance=Guidance(4.0, rescale=0.7)),
    "swapped": Row("tokens, positive and negative exchanged", learn=(TOKENS, LAST), swapped=True, seeds=3),
    "oracle": Row("trained on with true quality words, told both", oracle=True, suffix=GOOD, negative=BAD, seeds=3),
    "oracle_plain": Row("the same, told nothing of quality", oracle=True),
}


def committed(pairs):
    """The rows of pairs that travel with genir, by name -> file; the first of them is the best."""
    rows = {name: ROWS[name] for name in ("plain", "words_negative", "oracle")}
    rows = {name: replace(row, seeds=1) for name, row in rows.items()}
    for name, path in pairs.items():
        rows[name] = Row(f"dual: {name}", pair=str(path))
    first, path = next(iter(pairs.items()))
    rows["swapped"] = Row(f"{first}, positive and negative exchanged", pair=str(path), swapped=True)
    return rows
