"""The rows of the ablation: what each is told, and how its pair of prompts is learned."""

from dataclasses import dataclass, replace

from genir.backbone.guidance import Guidance
from genir.backbone.sdxl import Micro

GOOD = "sharp, high quality, highly detailed"
BAD = "blurry, low quality, jpeg artifacts, noisy"
GUIDANCE = Guidance(4.0)
OWN_SIZE = Micro()
BASE = "configs/learn_embedded.yaml"
COMMON = ("validation.every=null", "schedule=cosine")
"""The last checkpoint is taken: none is chosen by anything."""


@dataclass(frozen=True)
class Row:
    """Everything is as in the plain row unless said here."""

    about: str
    learn: tuple[str, ...] = ()
    """Overrides of BASE for `genir learn`; none: no pair is learned."""
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
    """Of learning, all with the same noise; without a pair, of the noise."""


PAPER = (*COMMON, "mode=tokens")
OUTPUT = (*COMMON, "mode=output")
PAIR = (*OUTPUT, "objectives.pair.weight=1.0")
REWARD = (*PAIR, "objectives.reward.weight=0.1")
LORA = (*REWARD, "lora.rank=8")
BEST = "lora"

ROWS = {
    "plain": Row("caption, empty negative", seeds=3),
    "words": Row(f"caption, {GOOD}", suffix=GOOD),
    "words_negative": Row(f"the same; negative: {BAD}", suffix=GOOD, negative=BAD),
    "micro": Row(
        "SDXL's original size 256 on the positive side, 64 on the negative",
        micro=Micro(original=(256, 256), negative_original=(64, 64)),
    ),
    "paper": Row("GenIR: tokens, denoising loss", learn=PAPER, seeds=3),
    "output": Row("vectors in the encoders' output, denoising loss", learn=OUTPUT, seeds=3),
    "pair": Row("output + pair objective", learn=PAIR),
    "reward": Row("output + pair + reward", learn=REWARD),
    "lora": Row("output + pair + reward + LoRA", learn=LORA, seeds=3),
    "interval": Row("the best pair, guided in the middle of the steps", learn=LORA, guidance=Guidance(4.0, 0.1, 0.9)),
    "delay": Row("the best pair, plain negative at first", learn=LORA, guidance=Guidance(4.0, delay=0.2)),
    "swapped": Row("the best pair, positive and negative exchanged", learn=LORA, swapped=True),
    "oracle": Row('the model that knows true quality, told "sharp"', oracle=True, suffix="sharp"),
}


def committed(pairs):
    """The rows of pairs that travel with genir, by name -> file; the last of them is the best."""
    rows = {name: ROWS[name] for name in ("plain", "words_negative", "oracle")}
    rows["plain"] = replace(rows["plain"], seeds=1)
    for name, path in pairs.items():
        rows[name] = Row(f"the {name} pair that ships", pair=str(path))
        rows["swapped"] = Row(f"{name}, positive and negative exchanged", pair=str(path), swapped=True)
    return rows
