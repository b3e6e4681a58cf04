"""Look at a checkpoint: `python -m tools.embedded.sample RUN AE OUT.png [--quality sharp] [--size 128]`.

Writes RUN/pipeline from the moving average of RUN/last.pt, loads it as any user would, and draws 24
prompts (rows of six) with four seeds each.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionXLPipeline
from PIL import Image
from transformers import CLIPTokenizer

from tools.embedded.model import TextAndUNet, save_pipeline

PROMPTS = (
    "a photo of snowy mountains on a sunny day",
    "golden sand dunes at sunset",
    "a red rock canyon under a blue sky",
    "a lake with green mountains, with reflections in the water",
    "a rough blue sea with white waves on a sunny day",
    "a purple sunset over the sea",
    "white clouds in a blue sky",
    "a snowy forest in winter",
    "an orange autumn tree on a hill",
    "a meadow of red flowers in daylight",
    "long green grass",
    "large yellow autumn leaves",
    "a purple flower with green leaves",
    "the milky way in a blue night sky",
    "a half grey moon",
    "a round red nebula",
    "an orange planet with rings in space",
    "a city skyline at night by the water",
    "a white house with a red roof on a sunny day",
    "a rainbow hot-air balloon over hills",
    "three red apples on a wooden table",
    "a mossy red brick wall",
    "horizontal brown wood planks",
    "large colourful pebbles",
)
"""One prompt a subject, in the order of render/scenes.py."""
SEEDS = 4


def export(run: Path, autoencoder: Path) -> Path:
    """Write RUN/pipeline from the moving average of RUN/last.pt and the finished decoder, where there is one; returns
    the folder.
    """
    tokenizer = CLIPTokenizer.from_pretrained(autoencoder / "tokenizer")
    model = TextAndUNet(tokenizer)
    model.load_average(run / "last.pt")
    finished = autoencoder / "vae_finished"
    save_pipeline(model, tokenizer, finished if finished.exists() else autoencoder / "vae", run / "pipeline")
    return run / "pipeline"


def load(folder: Path) -> StableDiffusionXLPipeline:
    """Load a saved pipeline in float32 without progress bars."""
    pipeline = StableDiffusionXLPipeline.from_pretrained(folder, dtype=torch.float32, trust_remote_code=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw(
    pipeline: StableDiffusionXLPipeline,
    prompts: list[str],
    negative: str,
    seeds: range,
    size: int,
    guidance: float,
    steps: int,
) -> np.ndarray:
    """Images (N, size, size, 3) uint8, one a prompt and seed."""
    images = pipeline(
        prompts,
        negative_prompt=[negative] * len(prompts),
        num_inference_steps=steps,
        guidance_scale=guidance,
        generator=[torch.Generator().manual_seed(s) for s in seeds],
        height=size,
        width=size,
        output_type="np",
    ).images
    return np.round(images * 255).astype(np.uint8)


def main() -> None:
    """Draw the grid and say how long an image took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("autoencoder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--quality", default="", help="words added to every prompt")
    parser.add_argument("--negative", default="")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    pipeline = load(export(args.run, args.autoencoder))
    start = time.perf_counter()
    cells = []
    for prompt in PROMPTS:
        text = f"{prompt}, {args.quality}" if args.quality else prompt
        images = draw(pipeline, [text] * SEEDS, args.negative, range(SEEDS), args.size, args.guidance, args.steps)
        cells.append(np.concatenate([np.concatenate(images[:2], 1), np.concatenate(images[2:], 1)], 0))
    spent = (time.perf_counter() - start) / len(PROMPTS) / SEEDS
    print(f"{spent:.2f} s an image of {args.size} px, {args.threads} thread(s)")
    rows = [np.concatenate(cells[k : k + 6], 1) for k in range(0, len(cells), 6)]
    Image.fromarray(np.concatenate(rows, 0)).save(args.out)


if __name__ == "__main__":
    main()
