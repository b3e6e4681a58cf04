"""What the embedded model can do: subjects, quality, how far its quality could be steered, copies, autoencoder, speed.

    python tests/bench/embedded.py [--quick] [--model FOLDER] [--oracle FOLDER] [--pool FOLDER] [--photographs FOLDER]

Captions are of subject x attribute combinations and scenes that the model was not trained on, one image each, the same
noise in every row. Distances are to renders of other such scenes, in the scene features that genir ships (not
Inception's: no number here is an FID or KID); the row "renders" is what real pictures of the captions' scenes reach.
`--oracle` is the model trained with true quality words on everything, told "sharp". `--pool` holds the training
pictures; without it a sample of them is rendered anew. `--photographs` adds unpacked Debian packages (tools/embedded)
to the photographs of scikit-image.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
sys.path.insert(0, str(Path(__file__).parents[2]))  # tools/ is not part of the package

import numpy as np
import torch

from genir.backbone.guidance import Guidance
from genir.backbone.latents import decode
from genir.backbone.load import load
from genir.metrics.features import network
from genir.metrics.features.copies import closeness, copy_rate
from genir.metrics.features.frechet import frechet_distance
from genir.metrics.features.kernel import kernel_distance
from genir.metrics.features.precision_recall import precision_recall
from tools.embedded import pool
from tools.embedded.captions import describe
from tools.embedded.features import named_subjects
from tools.embedded.measure import laplacian_variance, psnr_db
from tools.embedded.photographs import crops_of
from tools.embedded.render.scenes import SUBJECTS, render
from tools.embedded.splits import first_seed, held_out

SIZE = 128
STEPS = 20
GUIDANCE = 4.0
BATCH = 8
GOOD = "sharp, high quality, highly detailed"
BAD = "blurry, low quality, jpeg artifacts, noisy"
A_SUBJECT = {True: 5, False: 12}
SCANNED = {True: 120, False: 400}
"""Seeds of a subject that are looked through for held-out combinations; some subjects have none."""
SAMPLED_SEEDS = {True: 60, False: 100}
"""Of each subject, rendered anew where the pool is not given: more than the 50 that `closeness` compares with."""


@dataclass(frozen=True)
class Scenes:
    """Scenes of held-out combinations: their subjects, captions and pictures."""

    truth_N: torch.Tensor
    captions: list[str]
    renders_NCHW: torch.Tensor
    features_NF: torch.Tensor


def unseen_scenes(extractor, quick):
    """Two random halves of unseen scenes: one gives the captions, the other the reference.

    Halves with equally many of each subject would make the kernel distance of equals negative: two pictures of one half
    would be of one subject less often than a picture of each.
    """
    found = []
    for number, subject in enumerate(SUBJECTS):
        first = first_seed("test") + 5000
        seeds = [s for s in range(first, first + SCANNED[quick]) if held_out(render(subject, s, 16).facts)]
        found += [(number, seed) for seed in seeds[: 2 * A_SUBJECT[quick]]]
    order = np.random.default_rng(7).permutation(len(found))
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    return tuple(_scenes(extractor, [found[k] for k in half]) for half in halves)


def _scenes(extractor, numbered):
    rng = np.random.default_rng(6)
    scenes = [render(list(SUBJECTS)[number], seed, SIZE) for number, seed in numbered]
    images = to_NCHW(np.stack([scene.image_HWC for scene in scenes]))
    captions = [describe(scene.facts, rng) for scene in scenes]
    truth = torch.tensor([number for number, _ in numbered])
    return Scenes(truth, captions, images, network.scene_features(images, extractor))


def to_NCHW(pixels_NHWC):
    return torch.from_numpy(pixels_NHWC).permute(0, 3, 1, 2).contiguous()


def draw(backbone, captions, suffix, negative):
    """One image a caption with noise seeds 0, 1, ...; and the processor seconds an image took."""
    begin = time.process_time()
    images = []
    for k in range(0, len(captions), BATCH):
        texts = [f"{caption}, {suffix}" if suffix else caption for caption in captions[k : k + BATCH]]
        pixels_NCHW, _ = backbone.generate(
            backbone.encode_positive(texts),
            backbone.encode_negative(negative, len(texts)),
            size_HW=(SIZE, SIZE),
            seeds=range(k, k + len(texts)),
            steps=STEPS,
            guidance=Guidance(GUIDANCE),
        )
        images.append(pixels_NCHW)
    return torch.cat(images), (time.process_time() - begin) / len(captions)


def training_pictures(folder, quick):
    """Pictures that the model was trained on: those of a pool, or a sample rendered as the pool was."""
    if folder:
        return to_NCHW(np.concatenate([np.load(f) for f in sorted(folder.glob("[0-9]*.npy"))]))
    seeds = range(first_seed("t2i_train"), first_seed("t2i_train") + SAMPLED_SEEDS[quick])
    made = [pool.one(subject, seed) for seed in seeds for subject in SUBJECTS]
    return to_NCHW(np.stack([picture for picture, _ in filter(None, made)]))


def autoencoder_figures(backbone, images_NCHW):
    """PSNR in dB and share of the Laplacian variance that images keep through the autoencoder."""
    again, _ = decode(backbone.vae, backbone.encode_images(images_NCHW, [0] * len(images_NCHW)))
    clean, made = (images.float() / 127.5 - 1 for images in (images_NCHW, again))
    kept = laplacian_variance(made).mean() / laplacian_variance(clean).mean()
    return round(float(psnr_db(made, clean).mean()), 2), round(float(kept), 3)


class Table:
    """The rows of images: each is measured against the reference and printed at once."""

    def __init__(self, extractor, scenes, reference, training_NCHW):
        self.extractor, self.scenes, self.reference = extractor, scenes, reference
        self.training_NCHW = training_NCHW
        self.training_features = network.scene_features(training_NCHW, extractor)
        self.unseen = torch.cat([self._closeness(s.renders_NCHW, s.features_NF) for s in (scenes, reference)])
        print(f"\n{'':>18}subjects  kernel distance  Frechet  precision  recall  Laplacian  copies")

    def _closeness(self, images, features):
        return closeness(images, features, self.training_NCHW, self.training_features)

    def row(self, name, images_NCHW):
        """Measure and print one row; returns its figures."""
        features = network.scene_features(images_NCHW, self.extractor)
        real = self.reference.features_NF
        kernel, near = kernel_distance(features, real), precision_recall(features, real)
        row = {
            "accuracy": float((named_subjects(features) == self.scenes.truth_N).float().mean()),
            "kernel": kernel.value,
            "copies": copy_rate(self._closeness(images_NCHW, features), self.unseen).rate,
        }
        detail = float(laplacian_variance(images_NCHW.float() / 127.5 - 1).median())
        print(
            f"{name:>18}{row['accuracy']:8.2f}  {kernel.value:7.4f} ± {kernel.standard_error:.4f}"
            f"  {frechet_distance(features, real):7.3f}  {near.precision:9.2f}  {near.recall:6.2f}  {detail:9.0f}"
            f"  {row['copies']:6.3f}",
            flush=True,
        )
        return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few minutes")
    parser.add_argument("--model", default="embedded", help="another folder in diffusers' layout")
    parser.add_argument("--oracle", help="folder of the model trained with true quality words")
    parser.add_argument("--pool", type=Path, help="folder of the training pictures (tools.embedded.pool)")
    parser.add_argument("--photographs", type=Path, help="folder of unpacked Debian packages (tools/embedded)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    extractor = network.load()
    scenes, reference = unseen_scenes(extractor, args.quick)
    training = training_pictures(args.pool, args.quick)
    subjects = len(set(scenes.truth_N.tolist()))
    print(f"{len(scenes.captions)} captions and as many reference renders of {subjects} subjects; {network.NAME}")
    print(f"copies: against {len(training)} training pictures{'' if args.pool else ', a sample rendered anew'}")

    backbone = load(args.model)
    draw(backbone, scenes.captions[:BATCH], "", "")  # start-up
    table = Table(extractor, scenes, reference, training)
    table.row("renders", scenes.renders_NCHW)
    images, seconds = draw(backbone, scenes.captions, "", "")
    plain = table.row("plain", images)
    table.row("words", draw(backbone, scenes.captions, GOOD, "")[0])
    table.row("words and negative", draw(backbone, scenes.captions, GOOD, BAD)[0])
    gap = None
    if args.oracle:
        oracle = table.row("oracle", draw(load(args.oracle), scenes.captions, "sharp", "")[0])
        gap = round(plain["kernel"] / oracle["kernel"], 3)
    print(f"oracle gap: {gap if gap is not None else 'not measured (--oracle FOLDER)'}")

    photographs = to_NCHW(crops_of(args.photographs, ("test",)))
    psnr, kept = autoencoder_figures(backbone, photographs)
    print(f"\nautoencoder, {len(photographs)} crops of unseen photographs: {psnr} dB, detail kept {kept}")
    on_renders = autoencoder_figures(backbone, scenes.renders_NCHW)
    print(f"autoencoder, unseen renders: {on_renders[0]} dB, detail kept {on_renders[1]}")
    print(f"{seconds:.2f} s of one core an image: {SIZE} px, {STEPS} steps with guidance, batches of {BATCH}\n")
    figures = {
        "subject_accuracy": round(plain["accuracy"], 3),
        "kernel_distance": round(plain["kernel"], 4),
        "oracle_gap": gap,
        "copy_rate": round(plain["copies"], 4),
        "autoencoder_psnr_db": psnr,
        "autoencoder_detail_kept": kept,
        "seconds_per_image": round(seconds, 3),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
