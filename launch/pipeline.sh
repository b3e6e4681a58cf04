#!/usr/bin/env bash
# The whole story, step by step. As it stands: the small model that travels with genir, on a CPU, a few minutes.
#
#     launch/pipeline.sh                                       try it
#     PHOTOS=my_photos launch/pipeline.sh                      with a dual prompt learned from your photographs
#     MODEL=sdxl LIMIT=100000 OUT=outputs/castles \
#         LAUNCH="accelerate launch --config_file launch/accelerate_8gpu.yaml -m genir" launch/pipeline.sh
#
# Killed or interrupted, it goes on where it was when it is started again. Words after it are overrides of `generate`.
set -euo pipefail

MODEL=${MODEL:-embedded}               # configs/generate_$MODEL.yaml and configs/prepare_$MODEL.yaml
OUT=${OUT:-outputs/pipeline}           # everything goes there
PROMPTS=${PROMPTS:-1000}               # prompts to compose
LIMIT=${LIMIT:-64}                     # images to make
PHOTOS=${PHOTOS:-}                     # folder of high-quality photographs, captioned if possible; empty: steps 2 and 3 are left out
STEPS=${STEPS:-}                       # of learning; empty: as the configuration says
LAUNCH=${LAUNCH:-python -m genir}      # one worker; see launch/README.md for many

say() { printf '\n== %s\n' "$*"; }
mkdir -p "$OUT"

say "1. Prompts: composed from a grammar, without people, names, brands and near-duplicates"
if [ ! -e "$OUT/bank.jsonl" ]; then
    rm -f "$OUT"/composed.jsonl "$OUT"/screened.jsonl      # of a run that was stopped here
    python -m genir prompts compose configs/prompts_compose.yaml count="$PROMPTS" out="$OUT/composed.jsonl"
    python -m genir prompts screen "$OUT/composed.jsonl" -o "$OUT/screened.jsonl"
    python -m genir prompts dedupe "$OUT/screened.jsonl" -o "$OUT/bank.jsonl"
fi
python -m genir prompts stats "$OUT/bank.jsonl"

if [ -n "$PHOTOS" ]; then
    say "2. Training set: clean pairs of photographs and their degraded or regenerated counterparts"
    $LAUNCH prepare "configs/prepare_$MODEL.yaml" images="$PHOTOS" run="$OUT/set"

    say "3. Learn: a positive and a negative prompt from these pairs; grids of every checkpoint are in $OUT/dual"
    $LAUNCH learn "configs/learn_$MODEL.yaml" data.folder="$OUT/set" run="$OUT/dual" ${STEPS:+steps="$STEPS"}
    set -- dual="$OUT/dual/dual.safetensors" "$@"
fi

say "4. Generate: what would be made, then the job itself; every image is gated and becomes a row"
generate=(generate "configs/generate_$MODEL.yaml" run="$OUT/run" prompts="$OUT/bank.jsonl" limit="$LIMIT" "$@")
python -m genir "${generate[@]}" --dry-run
$LAUNCH "${generate[@]}"

say "5. Where it stands, and the proof that nothing is missing, twice or damaged"
python -m genir status "$OUT/run"
python -m genir verify "$OUT/run"

say "Look at $OUT/run/preview.png; shards for training are $OUT/run/image/*.tar, scores of every image *.parquet"
