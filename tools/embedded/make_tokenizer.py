"""Train the tokenizer on the first shards' captions: `python -m tools.embedded.make_tokenizer POOL OUT`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tools.embedded.latents import facts_of
from tools.embedded.tokenizer import train_tokenizer

SHARDS = 12


def main() -> None:
    """Write OUT/tokenizer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pool", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    rows = [row for k in range(SHARDS) for row in json.loads((args.pool / f"{k:04d}.json").read_text())]
    tokenizer = train_tokenizer([facts_of(row) for row in rows])
    tokenizer.save_pretrained(args.out / "tokenizer")
    print(f"{len(tokenizer)} tokens")


if __name__ == "__main__":
    main()
