"""Persons and organisations found by a token-classification model of transformers: an optional second look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genir.errors import ModelError
from genir.promptbank.screen import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

REASONS = {"PER": "name", "PERSON": "name", "ORG": "brand"}


def recogniser(model: str, threshold: float = 0.5) -> Callable[[str], list[Finding]]:
    """A function that finds the entities of one text, on the CPU.

    Args:
        model: hub id or folder of a token-classification model whose labels name PER or PERSON, and ORG.
        threshold: smallest score that counts.

    Raises:
        ModelError: it cannot be loaded, or knows none of these labels.
    """
    from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

    try:
        tokenizer = AutoTokenizer.from_pretrained(model)
        network = AutoModelForTokenClassification.from_pretrained(model)
    except (OSError, ValueError) as error:
        raise ModelError(f"entity model {model}: cannot be loaded: {' '.join(str(error).split())[:200]}") from None
    labels = {str(label).rpartition("-")[2] for label in network.config.id2label.values()}
    if not labels & REASONS.keys():
        raise ModelError(f"entity model {model}: its labels are {', '.join(sorted(labels))}; PER or ORG are needed")
    find = pipeline(
        "token-classification", model=network, tokenizer=tokenizer, aggregation_strategy="simple", device="cpu"
    )

    def findings(text: str) -> list[Finding]:
        return [
            Finding(REASONS[entity["entity_group"]], f"{entity['entity_group']} {entity['word']}")
            for entity in find(text)
            if entity["entity_group"] in REASONS and float(entity["score"]) >= threshold
        ]

    return findings
