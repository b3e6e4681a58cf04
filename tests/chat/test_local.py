"""Image-text-to-text models of transformers: tiny ones of the real classes, built on the spot."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from PIL import Image
from skimage import data
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipProcessor,
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from genir.chat.ask import Chat, Failure, Question
from genir.chat.local import LocalModel
from genir.errors import ModelError

WORDS = ["<pad>", "<s>", "</s>", "<unk>", "<image>", "USER", "ASSISTANT", "describe", "the", "stone", "lake", "cat"]
TEMPLATE = (
    "{% for m in messages %}USER {% for c in m['content'] %}{% if c['type'] == 'image' %}<image> {% else %}"
    "{{ c['text'] }} {% endif %}{% endfor %}{% endfor %}ASSISTANT"
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llava")
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        additional_special_tokens=["<image>"],
    )  # fmt: skip
    pixels = CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    LlavaProcessor(
        pixels, tokenizer, patch_size=14, vision_feature_select_strategy="default", chat_template=TEMPLATE,
        num_additional_image_tokens=1,
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(image_size=28, patch_size=14, projection_dim=16, **sizes),
        text_config=LlamaConfig(vocab_size=len(WORDS), num_key_value_heads=2, pad_token_id=0, **sizes),
        image_token_index=4,
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blip")
    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]", "[DEC]", "a", "stone", "lake", "cat"]
    (folder / "vocab.txt").write_text("\n".join(words))
    tokenizer = BertTokenizer(str(folder / "vocab.txt"))
    BlipProcessor(BlipImageProcessor(size={"height": 32, "width": 32}), tokenizer).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BlipConfig(
        text_config={"vocab_size": 10, "encoder_hidden_size": 16, "bos_token_id": 5, "eos_token_id": 2,
                     "sep_token_id": 2, "pad_token_id": 0, **sizes},
        vision_config={"image_size": 32, "patch_size": 16, **sizes},
    )  # fmt: skip
    BlipForConditionalGeneration(config).save_pretrained(folder)
    return folder


def picture(name: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(getattr(data, name)()).save(out, "PNG")
    return out.getvalue()


QUESTIONS = [
    Question("describe the cat", (picture("chelsea"),)),
    Question("describe the stone by the lake", (picture("coffee"),)),
    Question("describe", (picture("rocket"),)),
]


@pytest.mark.parametrize("kind", ["llava", "blip"])
def test_a_batch_gives_what_its_questions_give_alone(kind: str, request: pytest.FixtureRequest) -> None:
    model = LocalModel(str(request.getfixturevalue(kind)), CPU, max_tokens=6)
    assert model.is_told == (kind == "llava")
    together = model.answer(QUESTIONS)
    assert together == [model.answer([question])[0] for question in QUESTIONS]
    assert all(isinstance(reply, str) and "USER" not in reply.split()[:1] for reply in together)


def test_the_question_and_the_picture_matter(llava: Path) -> None:
    model = LocalModel(str(llava), CPU, max_tokens=8)
    replies = [
        model.answer([Question(text, (picture(name),))])[0]
        for text, name in (("describe the cat", "chelsea"), ("lake lake lake", "chelsea"), ("stone", "rocket"))
    ]
    assert len(set(map(str, replies))) > 1


def test_a_bad_question_is_a_failure_and_its_neighbours_are_answered(llava: Path) -> None:
    model = LocalModel(str(llava), CPU, max_tokens=4)
    replies = model.answer([QUESTIONS[0], Question("describe", (b"no picture",)), QUESTIONS[2]])
    assert isinstance(replies[1], Failure)
    assert replies[1].message.startswith("UnidentifiedImageError: ")
    assert isinstance(replies[0], str)
    assert isinstance(replies[2], str)


def test_a_plain_question_needs_no_picture(llava: Path) -> None:
    answers = Chat(LocalModel(str(llava), CPU, max_tokens=4)).ask([Question("describe the cat")], str)
    assert isinstance(answers[0].value, str)


def test_what_is_no_such_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be loaded as image-text-to-text") as caught:
        LocalModel(str(tmp_path), CPU)
    assert "\n" not in str(caught.value)
