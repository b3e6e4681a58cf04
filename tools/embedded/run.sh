#!/bin/sh
# The whole recipe: scenes, autoencoder, gate, tokenizer, latents, training, decoder, gate. Run it again to resume anything.
# usage: tools/embedded/run.sh OUT PHOTOGRAPHS [SHARDS] [STEPS]     (PYTHON may be set)
set -eu
out=$1 photographs=$2 shards=${3:-72} steps=${4:-12000}
python=${PYTHON:-python}
export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 PYTHONUNBUFFERED=1
mkdir -p "$out"
"$python" -m tools.embedded.pool "$out/pool" --shards "$shards" --part 0/2 &
"$python" -m tools.embedded.pool "$out/pool" --shards "$shards" --part 1/2
wait
"$python" -m tools.embedded.make_tokenizer "$out/pool" "$out/ae"
"$python" -m tools.embedded.train_autoencoder "$out/pool" "$out/ae" --steps 2000
"$python" -m tools.embedded.gate_autoencoder "$out/ae/vae" "$photographs"
"$python" -m tools.embedded.encode_pool "$out/pool" "$out/ae" "$out/latents"
"$python" -m torch.distributed.run --standalone --nproc_per_node 2 --shutdown-timeout 120 \
    -m tools.embedded.train "$out/latents" "$out/ae" "$out/run" --shards "$shards" --steps "$steps"
"$python" -m tools.embedded.train_decoder "$out/pool" "$out/ae" "$out/run"
"$python" -m tools.embedded.gate_autoencoder "$out/ae/vae_finished" "$photographs"
