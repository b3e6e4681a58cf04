"""`genir learn`: learn a positive and a negative prompt; the same command resumes."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
from typing import TYPE_CHECKING

import torch
from accelerate import Accelerator
from accelerate.utils import parse_flag_from_env

from genir import ranks, seeds, storage
from genir.errors import ConfigError, ExtraError, PlanError, Stopped
from genir.jobs.learn.cache import Cache, Features, fields
from genir.jobs.learn.checkpoints import Checkpoints
from genir.jobs.learn.draws import Draws
from genir.jobs.learn.launch import DOCUMENT, Launch
from genir.jobs.learn.learned import Learned
from genir.jobs.learn.loop import Loop
from genir.jobs.learn.objectives import build
from genir.jobs.learn.validate import Distance, Validator, choose, describe, distance_to
from genir.runs.build import gate_device, load_backbone
from genir.runs.meter import Meter
from genir.runs.progress import log_to_file, worker_name
from genir.runs.run import publish_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from genir.backbone.model import Backbone
    from genir.backbone.text import Side
    from genir.config.learn import Learn

log = logging.getLogger("genir")


def learn(config: Learn, source: str | None = None) -> int:
    """Be one process of the run.

    Args:
        config: what is learned.
        source: a dual-prompt file to go on from, instead of words.

    Returns:
        The exit code: 0 when all steps are done, else the launcher's code for "run again".

    Raises:
        GenirError: anything a user can mend.
    """
    stop, launch = ranks.StopSignal(), Launch(config, source)
    launch.check()
    accelerator = _accelerator(config, launch.half)
    lock = None
    try:
        if accelerator.is_main_process:
            for line in launch.description():
                log.info("%s", line)
            lock = _open_run(launch, accelerator)
        accelerator.wait_for_everyone()
        return _Session(launch, accelerator, stop).run()
    except Stopped:
        log.info("stopped by %s; the same command goes on from here", stop.name)
        return ranks.worker().stopped_exit_code
    finally:
        accelerator.end_training()
        if lock is not None:
            os.close(lock)


def _accelerator(config: Learn, auto: str) -> Accelerator:
    torch.set_num_threads(config.threads)
    torch.backends.cudnn.deterministic = True
    cpu = config.device == "cpu" or parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available()
    dtype = config.model.dtype if config.model.dtype != "auto" else "float32" if cpu else auto
    half = dtype == "float16"
    if half and cpu:
        raise ConfigError("model.dtype float16: a CPU cannot learn in it; set model.dtype=float32")
    if config.tracker is not None and importlib.util.find_spec(config.tracker) is None:
        raise ExtraError(f"tracker {config.tracker}: not installed; pip install {config.tracker}, or tracker=null")
    precision = "fp16" if half else "no"  # bfloat16 weights need no scaled loss, and the learned vectors are float32
    accelerator = Accelerator(cpu=cpu, mixed_precision=precision, log_with=config.tracker, project_dir=config.run)
    if config.accumulation % accelerator.num_processes:
        shared = f"{config.accumulation} cannot be shared by {accelerator.num_processes} processes"
        raise ConfigError(f"accumulation {shared}; set it to a multiple of them")
    return accelerator


def _open_run(launch: Launch, accelerator: Accelerator) -> int:
    """Publish what is learned, and keep other learners off the directory; returns the lock's file descriptor."""
    env = {"model": launch.config.model.id, "model_files": launch.model_files, "device": str(accelerator.device)}
    config = launch.config.model_dump(mode="json")
    publish_run(launch.root, DOCUMENT, {}, launch.meaning, config, env)
    with storage.explained(launch.root):
        lock = storage.try_lock(launch.root / "learn.lock")
    if lock is None:
        raise PlanError(f"{launch.root}: another genir learn is at work there; wait for it, or choose another run=...")
    log_to_file(launch.root, worker_name())
    return lock


class _Session:
    """Everything of one process once the model is loaded."""

    def __init__(self, launch: Launch, accelerator: Accelerator, stop: ranks.StopSignal) -> None:
        config = launch.config
        self._config, self._accelerator, self._stop = config, accelerator, stop
        self._checkpoints = Checkpoints(launch.root)
        backbone = load_backbone(config.model, accelerator.device)
        learned = self._learned = Learned(backbone, config, launch.start, launch.model_hash)
        if config.gradient_checkpointing:
            backbone.denoiser.enable_gradient_checkpointing()
        draws = self._draws(launch, backbone)
        classifier = launch.root / "cache" / "classifier.safetensors"
        with accelerator.main_process_first():
            objectives = build(launch, backbone, learned, draws, classifier)
        self._loop = Loop(config, accelerator, learned, objectives)
        self._validator = Validator(
            config, accelerator, backbone, launch.prompts, launch.sizes[0], stop, self._distance(launch)
        )
        self._step, self._rows = self._checkpoints.resume(learned, self._loop, accelerator)
        self._first = self._step  # of this launch

    def run(self) -> int:
        """Learn until all steps are done; returns the exit code. Raises Stopped when somebody asks to stop."""
        config, accelerator = self._config, self._accelerator
        if config.tracker:
            options = {"tensorboard": {"purge_step": self._step}} if config.tracker == "tensorboard" else {}
            accelerator.init_trackers("tracker", init_kwargs=options)
        left = max(0, config.steps - self._step)
        with contextlib.closing(self._checkpoints), Meter(left, "step", accelerator.is_main_process) as meter:
            self._steps(meter)
        if self._step < config.steps:
            raise Stopped(f"asked to stop after step {self._step}")
        self._choose()
        return 0

    def _steps(self, meter: Meter) -> None:
        """From the state in place to the last step, or to the one at which somebody asks to stop."""
        config, stopped, saved = self._config, False, self._step
        while True:
            ended = self._step >= config.steps
            due = self._validation_due(ended)
            if saved != self._step and (due or ended or stopped or self._step % config.checkpoint.every == 0):
                self._save()
                saved = self._step
            if due and not stopped:
                self._validate()
            if ended or stopped:
                return
            facts, stopped = self._loop.step(self._step, self._stop())
            self._step += 1
            self._tell(facts, meter)

    def _tell(self, facts: dict[str, float], meter: Meter) -> None:
        """Losses to the tracker, log.jsonl and the screen."""
        self._accelerator.log(facts, step=self._step)
        if not self._accelerator.is_main_process:
            return
        self._checkpoints.log(self._step, facts)
        losses = ", ".join(f"{name} {value:.4g}" for name, value in facts.items())
        meter(self._step - self._first, losses)

    def _validation_due(self, ended: bool) -> bool:
        every = self._config.validation.every
        if every is None or any(row["step"] == self._step for row in self._rows):
            return False
        return ended or self._step % every == 0

    def _save(self) -> None:
        if self._accelerator.is_main_process:
            self._checkpoints.save(self._step, self._learned, self._loop, self._accelerator, self._rows)
        self._accelerator.wait_for_everyone()

    def _validate(self) -> None:
        row = self._validator(self._step, self._checkpoints.grid(self._step))
        self._rows.append(row)
        self._accelerator.log({"validation_kept": row["kept"] / row["judged"]}, step=self._step)
        if self._accelerator.is_main_process:
            log.info("%s; pictures in %s", describe(row), self._checkpoints.grid(self._step))
        self._save()
        if self._accelerator.is_main_process and (best := choose(self._rows)):
            self._checkpoints.publish(best["step"])

    def _choose(self) -> None:
        """Say which checkpoint is the result."""
        if not self._accelerator.is_main_process:
            return
        best = choose(self._rows)
        step = best["step"] if best else self._step
        self._checkpoints.publish(step)
        first = next((row for row in self._rows if row["step"] == 0), None)
        if best and first and best["kept"] < first["kept"]:
            log.warning(
                "before the first step more was kept (%d of %d): look at the grids", first["kept"], first["judged"]
            )
        log.info("chosen: %s", describe(best) if best else f"the last step, {step} (validation.every is null)")
        log.info("the dual prompt is %s; use it with `genir generate CONFIG dual=%s`", *[self._checkpoints.chosen] * 2)

    def _distance(self, launch: Launch) -> Distance | None:
        """To the positives of the size at which validation images are made."""
        validation = self._config.validation
        if validation.every is None or validation.distance is None:
            return None
        return distance_to(launch.references, gate_device(self._accelerator.device))

    def _draws(self, launch: Launch, backbone: Backbone) -> Draws:
        """Fill the caches together, then read from them."""
        config, accelerator, pictures = self._config, self._accelerator, launch.trainset.pictures
        folder, total = launch.root / "cache", backbone.num_train_timesteps

        def latents(index: int) -> dict[str, torch.Tensor]:
            pixels_NCHW = torch.from_numpy(pictures[index].pixels()[None])
            found = backbone.encode_images(pixels_NCHW, [seeds.derive(config.seed, str(index), "latents")])
            return {"latents": found[0]}

        cache = self._filled(Cache(folder, "latents", len(pictures)), latents)
        if config.mode == "output":
            captions = sorted({"", *(pictures[index].caption for index in launch.positives)})
            texts: list[tuple[Side, str]] = [("negative", ""), *(("positive", caption) for caption in captions)]

            @torch.no_grad()
            def features(index: int) -> dict[str, torch.Tensor]:
                side, text = texts[index]
                return fields(backbone.text.features([text], side))

            text_cache = self._filled(Cache(folder, "text", len(texts)), features)
            backbone.text.cache = Features(text_cache, texts, accelerator.device)
        low, high = (round(fraction * total) for fraction in config.timesteps)
        return Draws(
            pictures,
            cache,
            seed=config.seed,
            device=accelerator.device,
            timesteps=(low, max(high, low + 1)),
            caption_dropout=config.caption_dropout,
            own_micro=config.micro == "original",
        )

    def _filled(self, cache: Cache, make: Callable[[int], dict[str, torch.Tensor]]) -> Cache:
        accelerator = self._accelerator
        cache.fill(make, accelerator.process_index, accelerator.num_processes, self._stop)
        accelerator.wait_for_everyone()
        return cache
