"""The optional entity model, as a tiny random network of the real classes."""

import pytest
import torch
from transformers import BertConfig, BertForTokenClassification, BertTokenizerFast

from genir.errors import ModelError
from genir.promptbank.entities import recogniser

WORDS = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "anna", "walks", "home"]


def model(folder, labels):
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    tokenizer = BertTokenizerFast(vocab={word: i for i, word in enumerate(WORDS)})
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    network = BertForTokenClassification(config).eval()
    with torch.no_grad():  # whatever it reads, it says the second label
        network.classifier.weight.zero_()
        network.classifier.bias.copy_(torch.tensor([0.0, 9.0]))
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_persons_are_names_and_organisations_brands(tmp_path):
    find = recogniser(model(tmp_path, ["O", "B-PER"]))
    assert {finding.reason for finding in find("anna walks home")} == {"name"}
    (tmp_path / "org").mkdir()
    find = recogniser(model(tmp_path / "org", ["O", "I-ORG"]))
    assert {finding.reason for finding in find("anna walks home")} == {"brand"}


def test_other_entities_are_not_asked_for(tmp_path):
    with pytest.raises(ModelError, match="its labels are LOC, O; PER or ORG are needed"):
        recogniser(model(tmp_path, ["O", "B-LOC"]))


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match="cannot be loaded"):
        recogniser(str(tmp_path / "none"))
