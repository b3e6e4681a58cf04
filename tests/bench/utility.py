"""Does training on the embedded model's pictures make a restorer better? Sets are made, then `genir utility` judges.

    python tests/bench/utility.py [--quick] [--out FOLDER] [--dual NAME_OR_FILE]

Sets: `plain` (prompts of the bank, no gate), `plain_gated` (those of them within the limits of
configs/gates_embedded.yaml), `dual` and `dual_gated` (the same tasks under a learned pair), `hq` (the 54 pictures that
travel with genir: 48 renders, 6 photographs) and `mix` (plain and hq). Judged on eight of scikit-image's photographs,
which neither the embedded model, its pairs, the scene features nor the shipped NIQE were made with; genir's own tests
look at some of them. Every set trains equally, on equally many pictures, and once at equal cost of generation. The same
command goes on where it was interrupted. `--quick` shows that it all runs: its intervals are wide.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROCESSES = os.cpu_count() or 1
MADE = {True: 64, False: 256}
SIZES = {True: [24], False: [12, 48]}
SEEDS = {True: 2, False: 5}
STEPS = {True: 150, False: 300}
HELD_OUT = ("chelsea", "brick", "rocket", "motorcycle_left", "hubble_deep_field", "coins", "moon", "ihc")
DECIDES = "st_lpips_alex"


def genir(*arguments, processes=1, capture=False):
    """Run a command of genir, as often as asked at a time."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "genir", *map(str, arguments)]
    out = subprocess.PIPE if capture else subprocess.DEVNULL
    started = [subprocess.Popen(command, env=environment, cwd=ROOT, stdout=out, text=True) for _ in range(processes)]
    told = [process.communicate()[0] for process in started]
    assert all(process.returncode == 0 for process in started), command
    return told[0]


def make_set(out, name, count, dual):
    """A run whose pictures are all kept, and the selection of those within the limits; returns how many these are."""
    run = out / name
    asked = ["configs/generate_embedded.yaml", f"run={run}", f"limit={count}", "gates.score_only=true", f"dual={dual}"]
    genir("generate", *asked, processes=PROCESSES)
    limits = "gates=configs/gates_embedded.yaml"
    told = genir("select", run, "name=gated", limits, capture=True)
    kept = int(told.split()[1])
    print(f"{name}: {kept} of {count} within the limits of the gates", flush=True)
    return kept


def held_out(folder):
    """The photographs that judge, as they lie in scikit-image."""
    import skimage
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for name in HELD_OUT:
        (path,) = (Path(skimage.__file__).parent / "data").glob(f"{name}.*")
        Image.open(path).convert("RGB").save(folder / f"{name}.png")
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few pictures, two seeds")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "outputs" / "bench_utility", help="folder of all that is made"
    )
    parser.add_argument("--dual", default="embedded", help="the learned pair, as `dual:` of genir generate")
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    out = (args.out / ("quick" if args.quick else "full")).absolute()
    dual = Path(args.dual)
    made = {"plain": "null", "dual": str(dual.absolute()) if dual.is_file() else args.dual}
    gated = {name: make_set(out, name, MADE[args.quick], dual) for name, dual in made.items()}

    hq = ROOT / "genir" / "embedded" / "hq" / "images"
    sets = {name: str(out / name) for name in made} | {f"{name}_gated": str(out / f"{name}#gated") for name in made}
    sets |= {"hq": str(hq), "mix": {"plain": str(out / "plain"), "hq": str(hq)}}
    compare = [["dual", "plain"], ["dual_gated", "plain_gated"], ["plain_gated", "plain"], ["plain", "hq"]]
    size = min(SIZES[args.quick][0], *gated.values())
    sizes = [n for n in dict.fromkeys([size, *SIZES[args.quick][1:]]) if n <= min(54, *gated.values())]
    seconds = sum(json.loads(p.read_bytes())["seconds"] for p in (out / "plain" / "stats").glob("*.json"))
    asked = {
        "run": str(out / "utility"),
        "sets": sets,
        "test": {"source": str(held_out(out / "held_out")), "side": 128, "crops": 4},
        "sizes": sizes,
        "budgets": [round(size * seconds / MADE[args.quick], 1)],
        "compare": compare,
        "seeds": SEEDS[args.quick],
        "training.steps": STEPS[args.quick],
        "decides": DECIDES,
    }
    overrides = [f"{key}={json.dumps(value)}" for key, value in asked.items()]
    genir("utility", "configs/utility_small.yaml", *overrides, processes=PROCESSES)
    print("\n" + genir("utility", "configs/utility_small.yaml", *overrides, capture=True))
    print(json.dumps(figures(json.loads((Path(asked["run"]) / "summary.json").read_bytes()))))


def figures(summary):
    """Of the largest number of pictures that all sets have."""
    column = [name for name in summary["columns"] if name.endswith("pictures")][-1]
    found = {
        "bicubic_psnr": summary["bicubic"]["psnr_y"]["value"],
        "bicubic_perceptual": summary["bicubic"][DECIDES]["value"],
    }
    for name, one in summary["columns"][column].items():
        found |= {f"{name}_psnr": one["psnr_y"]["value"], f"{name}_perceptual": one[DECIDES]["value"]}
    for pair, values in summary["differences"][column].items():
        name = pair.replace(" - ", "_minus_")
        found |= {
            name: values[DECIDES]["value"],
            f"{name}_low": values[DECIDES]["low"],
            f"{name}_high": values[DECIDES]["high"],
        }
    return {name: round(value, 4) for name, value in found.items()}


if __name__ == "__main__":
    main()
