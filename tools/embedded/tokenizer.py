"""A small byte-level BPE tokenizer in CLIP's own format, trained on the captions."""

from __future__ import annotations

import json

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from tools.embedded.captions import GOOD, corpus, describe
from tools.embedded.degrade import WORDS
from tools.embedded.render.canvas import Facts

MAX_LENGTH = 77
VOCABULARY = 1400
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def train_tokenizer(facts: list[Facts], max_length: int = MAX_LENGTH) -> CLIPTokenizer:
    """Train on captions of these scenes, the quality words and common prompt words."""
    rng = np.random.default_rng(3)
    lines = sorted({describe(fact, rng) for fact in facts})
    lines += [" ".join(w) for w in (GOOD, *WORDS.values())] * 20 + corpus() * 20
    raw = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    raw.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=2,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    raw.train_from_iterator(lines, trainer)
    merges = [tuple(m) for m in json.loads(raw.to_str())["model"]["merges"]]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = alphabet + [letter + "</w>" for letter in alphabet]
    known = set(tokens)
    for left, right in merges:
        if left + right not in known:
            known.add(left + right)
            tokens.append(left + right)
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: k for k, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=max_length)
