"""The objectives that a configuration asks for, as functions of the number of a forward pass."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as tensor_bytes

from genir import seeds, storage
from genir.jobs.learn.draws import DenoiseBatches, Draws, PairBatches
from genir.objective.classifier import Classifier, auc, train
from genir.objective.denoise import denoise
from genir.objective.pair import Pair
from genir.objective.reward import Reward

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from genir.backbone.model import Backbone
    from genir.config.learn import Learn
    from genir.jobs.learn.launch import Launch
    from genir.jobs.learn.learned import Learned
    from genir.trainset import TrainSet

log = logging.getLogger("genir")

HELD_OUT = 5  # one pair in so many judges the reward's classifier
WEAK_AUC = 0.7
_JUDGED_BATCHES = 50


@dataclass(frozen=True)
class Objective:
    """One weighted part of the loss."""

    name: str
    weight: float
    loss: Callable[[int], Tensor]
    """Number of a forward pass -> mean loss, differentiable."""


def build(launch: Launch, backbone: Backbone, learned: Learned, draws: Draws, classifier: Path) -> list[Objective]:
    """All with a weight; trains the reward's classifier unless the file `classifier` holds it.

    Raises TrainSetError when the training set lacks what one needs.
    """
    config, wanted, objectives = launch.config, launch.config.objectives, []
    if wanted.denoise.weight:
        batches = DenoiseBatches(draws, launch.positives, launch.negatives, config.batch, wanted.denoise.ratio)
        objectives.append(
            Objective("denoise", wanted.denoise.weight, lambda number: denoise(backbone, *batches(number)))
        )
    if wanted.pair.weight:
        pair_batches = PairBatches(draws, launch.pairs, config.batch, "pair")
        pair = Pair(backbone, wanted.pair.beta, learned.vectors, learned.reference)
        objectives.append(Objective("pair", wanted.pair.weight, lambda number: pair(*pair_batches(number))))
    if wanted.reward.weight:
        judge = _classifier(config, backbone, draws, launch.pairs, classifier)
        reward_batches = PairBatches(draws, launch.pairs, config.batch, "reward")
        reward = Reward(backbone, judge, wanted.reward.scale, wanted.reward.steps)

        def rewarded(number: int) -> Tensor:
            stop = seeds.derive(config.seed, str(number), "reward stop") % reward.stops
            return reward(reward_batches(number)[0], stop)

        objectives.append(Objective("reward", wanted.reward.weight, rewarded))
    return objectives


def pictures(config: Learn, trainset: TrainSet) -> tuple[list[int], list[int]]:
    """Indices of the positives and the negatives that are learned from."""
    return trainset.of("positive", config.data.positives), trainset.of("negative", config.data.negatives)


def pairs(config: Learn, trainset: TrainSet) -> list[tuple[int, int]]:
    """Indices of (positive, negative) of equal pair, origin and size, of the pictures that are learned from."""
    positives, negatives = pictures(config, trainset)
    chosen = {*positives, *negatives}
    return [pair for pair in trainset.pairs() if chosen.issuperset(pair)]


def _classifier(
    config: Learn, backbone: Backbone, draws: Draws, pairs: list[tuple[int, int]], path: Path
) -> Classifier:
    channels = backbone.adapter.channels
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive(config.seed, "classifier", "learn"))
        classifier = Classifier(channels)
    if path.exists():
        classifier.load_state_dict(parse_tensors(path.read_bytes()))
        return classifier.requires_grad_(False).to(draws.device)
    classifier.to(draws.device)
    # by the key, so that the negatives of one positive stay together
    held = [p for p in pairs if seeds.derive(0, draws.pictures[p[0]].pair, "held out") % HELD_OUT == 0]
    batches = PairBatches(draws, sorted({*pairs} - {*held}) or pairs, config.batch, "classifier")
    judged = PairBatches(draws, held or pairs, config.batch, "classifier held out")

    def latents(batches: PairBatches, number: int) -> tuple[Tensor, Tensor]:
        positives, negatives = batches(number)
        return positives.latents_NCHW, negatives.latents_NCHW

    train(classifier, lambda step: latents(batches, step), config.objectives.reward.classifier_steps)
    enough = min(_JUDGED_BATCHES, -(-len(held or pairs) // config.batch))
    area = auc(classifier, [latents(judged, number) for number in range(enough)])
    if held:
        warning = "; a weak reward: more pairs, or larger differences?" if area < WEAK_AUC else ""
        log.info("reward: positives against their negatives, AUC %.3f on %d held-out pairs%s", area, len(held), warning)
    else:
        log.warning("reward: %d pairs are too few to hold some out, so nobody knows whether it is right", len(pairs))
    with storage.explained(path):
        storage.write(path, tensor_bytes({name: t.cpu() for name, t in classifier.state_dict().items()}))
    return classifier
