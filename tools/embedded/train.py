"""Train the text encoders and the UNet; the same command resumes from the last checkpoint.

    torchrun --standalone --nproc_per_node 2 -m tools.embedded.train LATENTS AE OUT --shards 72 --steps 12000

Processes are single-threaded and average gradients over gloo: two threads of one process collapse when a
machine is shared, two processes do not. Every draw is a function of (seed, step, rank), so a stopped run
continues as if it had not stopped; --shards and --steps may grow between launches and are logged. SIGTERM
writes a checkpoint and ends. `--from` goes on from a finished model, with a new optimizer.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from pathlib import Path

import torch
import torch.distributed as dist
from diffusers import DDPMScheduler
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPTokenizer

from tools.embedded.latents import Batch, LatentPool
from tools.embedded.model import SCHEDULE, TextAndUNet

SEED = 20
PEAK_RATE = 8e-4
WARM_UP = 300
DECAY_SHARE = 0.2
"""The learning rate is constant and falls to zero over this last share of the steps."""
EMA = 0.9995


def make_fast(model: TextAndUNet) -> None:
    """Lay the UNet out channels-last and replace fused attention, whose backward pass takes a third of a
    step.
    """
    model.unet = model.unet.to(memory_format=torch.channels_last)
    model.unet.set_attn_processor(AttnProcessor())
    model.text_encoder.set_attn_implementation("eager")
    model.text_encoder_2.set_attn_implementation("eager")


def rate_at(step: int, steps: int, peak: float) -> float:
    """Learning rate of a step: linear warm-up, constant, linear end."""
    left = (steps - step) / (DECAY_SHARE * steps)
    return peak * min(1.0, (step + 1) / WARM_UP, max(left, 0.0))


class Trainer:
    """Model, optimizer, moving average and the files of one run; one instance a process."""

    def __init__(self, model: TextAndUNet, out: Path, rank: int, world: int) -> None:
        self.model, self.out, self.rank, self.world = model, out, rank, world
        self.weights = [p for p in model.parameters() if p.requires_grad]
        # Not fused=True: on a CPU it ignores strides and misplaces the updates of channels_last weights.
        self.optimizer = torch.optim.AdamW(self.weights, lr=PEAK_RATE, weight_decay=0.01, betas=(0.9, 0.98))
        self.average = [p.detach().clone() for p in self.weights] if rank == 0 else []
        self.alphas = DDPMScheduler(**SCHEDULE).alphas_cumprod
        self.step = 0

    def loss(self, batch: Batch) -> Tensor:
        """Mean squared error of v (Salimans and Ho 2022, appendix D)."""
        alpha = self.alphas[batch.steps_N].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * batch.latents + (1 - alpha).sqrt() * batch.noise
        wanted = alpha.sqrt() * batch.noise - (1 - alpha).sqrt() * batch.latents
        noisy = noisy.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            made = self.model(noisy, batch.steps_N, batch.ids_NL, batch.sizes_N6)
        return F.mse_loss(made, wanted)

    def advance(self, batch: Batch, rate: float, stop: bool) -> tuple[float, bool]:
        """One step; returns the mean loss over all processes and whether any of them was asked to stop."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(batch)
        loss.backward()
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.weights]
        tail = torch.tensor([loss.item(), float(stop)])
        flat = torch.cat([*(g.reshape(-1) for g in grads), tail])
        if self.world > 1:
            dist.all_reduce(flat)
            flat /= self.world
        for p, part in zip(self.weights, flat[:-2].split([p.numel() for p in self.weights]), strict=True):
            p.grad = part.view_as(p)
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        self.step += 1
        if self.rank == 0:
            keep = min(EMA, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(self.average, [p.detach() for p in self.weights], 1 - keep)
        return float(flat[-2]), bool(flat[-1] > 0)

    def save(self) -> None:
        """Write last.pt (everything, to resume) by a rename, keep the one before as previous.pt; rank 0
        only.
        """
        if self.rank:
            return
        temporary = self.out / ".last.pt"
        state = {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
        }
        torch.save(state, temporary)
        if (self.out / "last.pt").exists():
            (self.out / "last.pt").replace(self.out / "previous.pt")
        temporary.rename(self.out / "last.pt")

    def resume(self) -> None:
        """Continue from last.pt where there is one."""
        if not (self.out / "last.pt").exists():
            return
        state = torch.load(self.out / "last.pt", mmap=True)
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.rank == 0:
            self.average = [a.clone() for a in state["average"]]


def run(trainer: Trainer, pool: LatentPool, args: argparse.Namespace) -> None:
    """Step until --steps; log every 50 steps, save every --save-minutes."""
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    log = (args.out / "log.jsonl").open("a")
    saved = lapse = time.monotonic()
    first, losses = trainer.step, []
    while trainer.step < args.steps:
        batch = pool.batch(args.batch, SEED, trainer.step, trainer.rank)
        rate = rate_at(trainer.step, args.steps, args.rate)
        loss, stop = trainer.advance(batch, rate, bool(asked))
        losses.append(loss)
        at = trainer.step
        if trainer.rank == 0 and (at <= first + 3 or at % 50 == 0):
            samples = len(losses) * args.batch * trainer.world
            row = {
                "step": at,
                "loss": round(sum(losses) / len(losses), 5),
                "samples_a_second": round(samples / (time.monotonic() - lapse), 1),
            }
            print(json.dumps(row), file=log, flush=True)
            losses, lapse = [], time.monotonic()
        due = trainer.rank == 0 and time.monotonic() - saved > args.save_minutes * 60
        if due or stop or at == args.steps:
            trainer.save()
            saved = time.monotonic()
        if stop:
            break


def main() -> None:
    """Build everything from the tokenizer in AE and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("latents", type=Path)
    parser.add_argument("autoencoder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--shards", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch", type=int, default=16, help="samples a process and step")
    parser.add_argument("--mix", choices=["noisy", "oracle"], default="noisy")
    parser.add_argument("--rate", type=float, default=PEAK_RATE, help="learning rate after the warm-up")
    parser.add_argument("--from", dest="source", type=Path, help="begin with the weights of this saved pipeline")
    parser.add_argument("--save-minutes", type=float, default=5.0)
    args = parser.parse_args()
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group("gloo")
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    tokenizer = CLIPTokenizer.from_pretrained(args.autoencoder / "tokenizer")
    model = TextAndUNet(tokenizer)
    if args.source:
        model.load_pipeline(args.source)
    make_fast(model)
    signs = torch.load(args.autoencoder / "mirror_signs.pt")
    pool = LatentPool(args.latents, args.shards, signs, tokenizer, args.mix)
    trainer = Trainer(model, args.out, rank, world)
    trainer.resume()
    if rank == 0:
        start = {
            "start": trainer.step,
            "pictures": len(pool),
            "shards": args.shards,
            "steps": args.steps,
            "mix": args.mix,
            "from": str(args.source or ""),
            "world": world,
            "parameters": sum(p.numel() for p in model.parameters()),
        }
        with (args.out / "log.jsonl").open("a") as log:
            print(json.dumps(start), file=log)
    run(trainer, pool, args)
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
