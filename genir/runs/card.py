"""README.md of a run: a dataset card in Hugging Face form, from what the run directory says of itself."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from pathlib import Path
from typing import Any

import yaml

from genir import __version__, storage
from genir.config.generate import Gates
from genir.config.making import HiresConfig, PostConfig, in_words
from genir.exporters.card import NOT_ASSESSED, SYNTHETIC, header, licence_in_words
from genir.runs.summary import Summary, read_plan, summarise
from genir.shards import reader
from genir.shards.files import ShardFiles

log = logging.getLogger("genir")

CARD = "README.md"
_MARK = re.compile(rb"\n<!-- made by genir, anew after every launch as long as nobody changes it: ([0-9a-f]{64}) -->\n")


def write_card(root: Path) -> None:
    """Write the card of a run of images or pairs, or leave what a person wrote there.

    Raises:
        ShardError: the disk cannot be written.
    """
    path = root / CARD
    with storage.explained(path):
        text = _sealed(_text(root))
        if storage.publish(path, text):
            return
        if _is_ours(path.read_bytes()):
            storage.write(path, text)
        else:
            log.info("%s is not genir's, or was changed; it stays as it is", path)


def looked_for(plan: dict[str, Any]) -> str:
    """What the gates of a run of images rejected, and what nobody looked for."""
    gates = plan["meaning"].get("gates") or {}
    names = [name for name, settings in gates.items() if name != "weights" and isinstance(settings, dict) and settings]
    text = f"Looked for, by the gates of this run: {', '.join(names) or 'nothing'}."
    if gates.get("score_only"):
        text += " They only scored: nothing was rejected."
    return f"{text} {NOT_ASSESSED}"


def _sealed(text: str) -> bytes:
    """With a hash of itself after the heading, from which a change is seen."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    mark = f"\n<!-- made by genir, anew after every launch as long as nobody changes it: {digest} -->\n"
    before, heading, after = text.partition("\n# ")
    title, _, rest = after.partition("\n")
    return f"{before}{heading}{title}\n{mark}{rest}".encode()


def _is_ours(content: bytes) -> bool:
    found = _MARK.search(content)
    return found is not None and hashlib.sha256(_MARK.sub(b"", content, count=1)).hexdigest().encode() == found[1]


def _text(root: Path) -> str:
    plan, summary = read_plan(root), summarise(root)
    stage = plan.get("stage", "image")
    about = _of_pairs if stage == "lq" else _of_images
    synthetic = _synthetic(root, plan) if stage == "lq" else summary.kept
    name, epochs = root.resolve().name, plan["meaning"].get("epochs", 1)
    lines = [
        f"# {name}",
        "",
        *about(root, plan, summary.kept * epochs if stage == "lq" else summary.done, synthetic),
        "",
        "| | images | share |",
        "|---|---:|---:|",
        *_counts(summary),
        "",
        f"`{stage}/*.tar` is WebDataset, `{stage}/*.parquet` has a row for every task, also those that were not kept, "
        f"with all scores and the reason; `load_dataset` reads this folder. Plan {plan['digest'][:16]}, "
        f"genir {__version__}; `genir verify` checks every hash, row and picture.",
    ]
    files = {"train": f"{stage}/**/*.tar"}
    return header(name, summary.kept * epochs, synthetic, files, _features(plan)) + "\n" + "\n".join(lines) + "\n"


def _features(plan: dict[str, Any]) -> dict[str, str]:
    """What is in every tar, without the JSON: its content differs from row to row, which `load_dataset` cannot read."""
    meaning = plan["meaning"]
    pictures = (
        [""]
        if plan.get("stage", "image") == "image"
        else ["lq", *(n for n, is_in in meaning["store"].items() if is_in)]
    )
    image_format = meaning.get("image", {}).get("format", "png")
    columns = {f"{name}.{image_format}".lstrip("."): "image" for name in pictures}
    return {**columns, "txt": "string", "__key__": "string"}


def _counts(summary: Summary) -> list[str]:
    rows = [("made", summary.done), ("kept", summary.kept), *summary.reasons.most_common()]
    names = ["made", "kept", *(f"not kept: `{reason}`" for reason, _ in rows[2:])]
    return [
        f"| {name} | {count:,} | {100 * count / summary.done:.1f} % |" if summary.done else f"| {name} | {count:,} | |"
        for name, (_, count) in zip(names, rows, strict=True)
    ]


def _of_images(root: Path, plan: dict[str, Any], made: int, synthetic: int) -> list[str]:
    meaning, env, gates = plan["meaning"], _json(root / "env.json"), _gates(plan)
    checks = [] if gates is None or gates.score_only else [check.in_words() for check in gates.checks()]
    sizes = ", ".join(f"{height} x {width}" for height, width in meaning.get("size") or [])
    after = _after(meaning)
    dual = f"the dual prompt {meaning['dual'][:16]}" if meaning.get("dual") else "no dual prompt"
    return [
        f"{synthetic:,} synthetic images for image restoration, kept of {made:,} that genir made with the "
        f"model {_model(env)} ({sizes or 'its own size'} pixels{after}, {meaning.get('steps')} steps, {dual}). "
        f"{SYNTHETIC}",
        "",
        f"Kept where: {', '.join(checks) or 'nothing was asked'}. The first check that fails is the reason. "
        f"{looked_for(plan)}",
        "",
        _licence(env),
    ]


def _after(meaning: dict[str, Any]) -> str:
    """How pictures of these sizes became what is stored."""
    hires, post = meaning.get("hires"), meaning.get("post")
    return in_words(hires and HiresConfig(**hires), post and PostConfig(**post), meaning.get("crop"))


def _of_pairs(root: Path, plan: dict[str, Any], pairs: int, synthetic: int) -> list[str]:
    meaning = plan["meaning"]
    degradation, env = meaning["degradation"], _json(root / "env.json")
    config = yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))
    places = config["input"] if isinstance(config["input"], dict) else {"": config["input"]}
    return [
        f"{pairs:,} HQ-LQ pairs for image restoration, made by genir: the LQ is {degradation['scale']} times "
        f"smaller, degraded as `plan.json` says (preset {config['degradation']['preset']}, "
        f"{env.get('degradation_sha256', '')[:16]}), with draws of its own for every picture, recorded in its row.",
        "",
        f"HQ of {synthetic:,} pairs: synthetic. {SYNTHETIC}",
        "",
        *(f"- {_origin(place)}" for place in places.values()),
        "",
        NOT_ASSESSED,
    ]


def _origin(place: str) -> str:
    """Of an input: the folder's name, and what is known of its pictures."""
    root = Path(place) if Path(place).exists() else Path(place.partition("#")[0])
    env = _json(root / "env.json")
    if "model" not in env:
        return f"HQ from `{root.name}`: not made by genir, their licence was not asked."
    return f"HQ from `{root.name}`, made with the model {_model(env)}. {_licence(env)}"


def _model(env: dict[str, Any]) -> str:
    """The hub's name; of a folder of this machine its last part."""
    name = str(env.get("model", "unknown"))
    return Path(name).name if name.startswith(("/", ".", "~")) else name


def _synthetic(root: Path, plan: dict[str, Any]) -> int:
    stage = root / plan["stage"]
    return sum(
        bool(row["synthetic"]) and row["verdict"] == "kept"
        for shard, _ in reader.markers(stage, plan["shards"])
        for row in reader.rows(ShardFiles.of(stage, shard, plan["shards"]), ("verdict", "synthetic"))
    )


def _gates(plan: dict[str, Any]) -> Gates | None:
    asked = {name: value for name, value in plan["meaning"].get("gates", {}).items() if name != "weights"}
    return Gates.model_validate(asked) if asked else None


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_bytes()) if path.exists() else {}


def _licence(env: dict[str, Any]) -> str:
    return licence_in_words(env.get("model_licence") or "unknown", env.get("outputs_may_train") or "")
