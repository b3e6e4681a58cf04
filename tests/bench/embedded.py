"""What the embedded model can do: subjects, quality, how far its quality could be steered, copies, autoencoder, speed.

    python tests/bench/embedded.py [--quick] [--model FOLDER] [--oracle FOLDER] [--pool FOLDER] [--photographs FOLDER]

Captions are of subject x attribute combinations and scenes that the model was not trained on, with the same noise in
every row. Distances are to renders of other such scenes, in the scene features that genir ships (not Inception's: no
number here is an FID or KID); the row "renders" is what real pictures of the captions' scenes reach, and the rows below
it are the same pictures made worse: what the distance makes of quality alone. "nearer by" is the difference to the
distance of "renders" or of "plain", with its standard error: captions, noise and reference are the same, so it is far
surer than the distances. `--oracle` is the model trained with true quality words on everything, told "sharp", alone
and against the negative words; the gap is that of the latter, which is what a dual prompt steers. `--pool` holds the
training pictures; without it a sample of them is rendered anew. `--photographs` adds unpacked Debian packages
(tools/embedded) to the photographs of scikit-image.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
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
from genir.metrics.features.kernel import kernel_distance, kernel_gain
from genir.metrics.features.precision_recall import precision_recall
from genir.metrics.signal import signal
from tools.embedded import pool
from tools.embedded.captions import describe
from tools.embedded.degrade import degrade
from tools.embedded.features import named_subjects, worsen
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
PROCESSES = 2
A_SUBJECT = {True: 8, False: 12}
IMAGES_A_CAPTION = {True: 1, False: 2}
SCANNED = {True: 200, False: 400}
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


def worsened(images_NCHW, how):
    """Images after `how`, a function of pixels (H, W, 3) and a generator."""
    rng = np.random.default_rng(8)
    return to_NCHW(np.stack([how(pixels, rng) for pixels in images_NCHW.permute(0, 2, 3, 1).numpy()]))


def drawn(model, texts, negative, first):
    """One image a text with noise seeds first, first + 1, ...; and the processor seconds that they took."""
    torch.set_num_threads(1)
    backbone = load(model)
    generated, spent = [], 0.0
    for k in range(-BATCH, len(texts), BATCH):  # the batch before the first one is start-up
        begin = time.process_time()
        batch = texts[max(k, 0) : max(k, 0) + BATCH]
        pixels_NCHW, _ = backbone.generate(
            backbone.encode_positive(batch),
            backbone.encode_negative(negative, len(batch)),
            size_HW=(SIZE, SIZE),
            seeds=range(first + max(k, 0), first + max(k, 0) + len(batch)),
            steps=STEPS if k >= 0 else 1,
            guidance=Guidance(GUIDANCE),
        )
        if k >= 0:
            generated.append(pixels_NCHW.numpy())
            spent += time.process_time() - begin
    return np.concatenate(generated), spent


def draw(workers, model, captions, suffix, negative):
    """`drawn` for captions and a suffix, shared among the processes; and the processor seconds an image took."""
    texts = [f"{caption}, {suffix}" if suffix else caption for caption in captions]
    share = BATCH * -(-len(texts) // (BATCH * PROCESSES))
    starts = range(0, len(texts), share)
    parts = [workers.submit(drawn, model, texts[k : k + share], negative, k) for k in starts]
    images, seconds = zip(*(part.result() for part in parts), strict=True)
    return torch.from_numpy(np.concatenate(images)), sum(seconds) / len(texts)


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
        self.features = {}
        print(f"\n{'':>18}subjects  kernel distance         nearer by  Frechet  precision  recall", end="")
        print("  Laplacian  blockiness  copies")

    def _closeness(self, images, features):
        return closeness(images, features, self.training_NCHW, self.training_features)

    def row(self, name, images_NCHW, beside=None):
        """Measure and print one row, and how much nearer it is than the row `beside`; returns its figures."""
        features = self.features[name] = network.scene_features(images_NCHW, self.extractor)
        real = self.reference.features_NF
        captions = torch.arange(len(self.scenes.captions)).repeat(len(features) // len(self.scenes.captions))
        kernel, near = kernel_distance(features, real, captions), precision_recall(features, real)
        gain = kernel_gain(self.features[beside], features, real, captions) if beside else None
        named = named_subjects(features) == self.scenes.truth_N[captions]
        row = {
            "accuracy": float(named.float().mean()),
            "kernel": kernel.value,
            "gain": gain,
            "copies": copy_rate(self._closeness(images_NCHW, features), self.unseen).rate,
        }
        checks = signal(images_NCHW)
        print(
            f"{name:>18}{row['accuracy']:8.2f}  {kernel.value:7.4f} ± {kernel.standard_error:.4f}"
            f"  {f'{gain.value:7.4f} ± {gain.standard_error:.4f}' if gain else '':>16}"
            f"  {frechet_distance(features, real):7.3f}  {near.precision:9.2f}  {near.recall:6.2f}"
            f"  {checks['laplacian'].median():9.0f}  {checks['blockiness'].median():10.1f}  {row['copies']:6.3f}",
            flush=True,
        )
        return row


def degraded_rows(table, images_NCHW):
    """What the distance makes of quality alone: single faults, then the degradations of the training mix."""
    table.row("renders", images_NCHW)
    for fault in ("blur", "noise", "jpeg"):
        worse = worsened(images_NCHW, lambda pixels, rng, fault=fault: worsen(pixels, fault, 0.6, rng))
        table.row(f"renders, {fault}", worse, "renders")
    for share in (0.5, 1.0):
        mixed = worsened(images_NCHW, lambda p, rng, share=share: degrade(p, rng)[0] if rng.random() < share else p)
        table.row(f"{share:.0%} degraded", mixed, "renders")


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
    captions = scenes.captions * IMAGES_A_CAPTION[args.quick]
    subjects = len(set(scenes.truth_N.tolist()))
    print(f"{len(scenes.captions)} captions and as many reference renders of {subjects} subjects; {network.NAME}")
    print(f"{len(captions)} images a row, {PROCESSES} processes")
    print(f"copies: against {len(training)} training pictures{'' if args.pool else ', a sample rendered anew'}")

    table = Table(extractor, scenes, reference, training)
    degraded_rows(table, scenes.renders_NCHW)
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as workers:
        images, seconds = draw(workers, args.model, captions, "", "")
        plain = table.row("plain", images)
        words = table.row("words", draw(workers, args.model, captions, GOOD, "")[0], "plain")
        both = table.row("words and negative", draw(workers, args.model, captions, GOOD, BAD)[0], "plain")
        oracle = None
        if args.oracle:
            table.row("oracle", draw(workers, args.oracle, captions, "sharp", "")[0], "plain")
            oracle = table.row("oracle, negative", draw(workers, args.oracle, captions, "sharp", BAD)[0], "plain")
    gap = round(plain["kernel"] / oracle["kernel"], 3) if oracle else None
    print(f"oracle gap: {gap or 'not measured (--oracle FOLDER)'}")

    backbone = load(args.model)
    photographs = to_NCHW(crops_of(args.photographs, ("test",)))
    psnr, kept = autoencoder_figures(backbone, photographs)
    print(f"\nautoencoder, {len(photographs)} crops of unseen photographs: {psnr} dB, detail kept {kept}")
    on_renders = autoencoder_figures(backbone, scenes.renders_NCHW)
    print(f"autoencoder, unseen renders: {on_renders[0]} dB, detail kept {on_renders[1]}")
    print(f"{seconds:.2f} s of one core an image: {SIZE} px, {STEPS} steps with guidance, batches of {BATCH}\n")
    figures = {
        "subject_accuracy": round(plain["accuracy"], 3),
        "kernel_distance": round(plain["kernel"], 4),
        "words_nearer_by": rounded(words["gain"]),
        "words_and_negative_nearer_by": rounded(both["gain"]),
        "oracle_nearer_by": rounded(oracle["gain"]) if oracle else None,
        "oracle_gap": gap,
        "copy_rate": round(plain["copies"], 4),
        "autoencoder_psnr_db": psnr,
        "autoencoder_detail_kept": kept,
        "seconds_per_image": round(seconds, 3),
    }
    print(json.dumps(figures))


def rounded(gain):
    """[difference, standard error]"""
    return [round(gain.value, 4), round(gain.standard_error, 4)]


if __name__ == "__main__":
    main()
