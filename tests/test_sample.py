"""Tasks -> samples around a fake model: order, splitting, poisoned prompts, broken devices, stopping."""

import gc
import logging
import weakref
from dataclasses import replace
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch

from genir.backbone.guidance import Guidance
from genir.backbone.sdxl import Micro
from genir.errors import GenirError, ModelError, Stopped
from genir.records import Conditioning, Prompt, Task
from genir.sample import Settings, sample

SETTINGS = Settings(7, Guidance(scale=3.0), Micro(), "blurry")


class FakeBackbone:
    """Pictures filled with the seed; prompts can fail, large batches can run out of memory."""

    def __init__(self, largest=99):
        self.largest, self.calls, self.asked = largest, [], {}
        self.texts, self.encoded = [], []

    device = torch.device("cpu")

    def encode_positive(self, texts):
        self.encoded.append(list(texts))
        if "unreadable" in texts:
            raise KeyError("no such token")
        first = len(self.texts)
        self.texts += texts
        numbers = torch.arange(first, len(self.texts), dtype=torch.float64)
        return Conditioning(numbers[:, None, None], None, tuple(len(text) > 20 for text in texts))

    def encode_negative(self, text, count):
        assert text == "blurry"
        return self._encoded(count, (False,) * count)

    def encode_empty(self, count):
        return self._encoded(count, (False,) * count)

    def generate(self, positive, negative, *, empty, size_HW, seeds, **settings):
        assert {len(part.truncated) for part in (positive, negative, empty)} == {len(seeds)}
        texts = [self.texts[int(number)] for number in positive.embeds_NLD.flatten()]
        self.calls.append(list(zip(texts, seeds, strict=True)))
        self.asked = settings
        if settings["should_stop"]():
            raise Stopped
        if len(seeds) > self.largest:
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 20.00 GiB")
        for text in texts:
            if text in ERRORS:
                raise ERRORS[text]
        pixels_NCHW = torch.stack([torch.full((3, *size_HW), seed % 256, dtype=torch.uint8) for seed in seeds])
        return pixels_NCHW, [seed == 13 for seed in seeds]

    @staticmethod
    def _encoded(count, truncated):
        return Conditioning(torch.zeros(count, 1, 1), None, truncated)


ERRORS = {
    "poison": ValueError("bad  token\nin here"),
    "memory": MemoryError(),
    "device": torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
    "user": ModelError("the model cannot do this"),
    "ctrl-c": KeyboardInterrupt(),
}


def tasks(*texts, first=0):
    return [Task(f"{n:09d}", Prompt(text), 10 + n, 8, 16) for n, text in enumerate(texts, first)]


def batched(texts, size):
    return [tasks(*texts[first : first + size], first=first) for first in range(0, len(texts), size)]


def run(batches, backbone=None, should_stop=lambda: False):
    return list(sample(batches, backbone or FakeBackbone(), SETTINGS, should_stop))


@pytest.fixture(autouse=True)
def _quiet(caplog, monkeypatch):
    caplog.set_level(logging.CRITICAL + 1, "genir")
    monkeypatch.setattr("genir.halves.PAUSE", 0.0)


def test_samples_come_in_the_order_of_the_tasks():
    batches = batched([f"prompt {n}" for n in range(10)], 4)
    made = run(batches)
    assert [[s.task for s in samples] for samples in made] == batches
    for one in (s for samples in made for s in samples):
        assert one.pixels_CHW is not None
        assert one.pixels_CHW.shape == (3, 8, 16)
        assert (one.pixels_CHW == one.task.seed % 256).all()
        assert (one.batch_executed, one.error, one.scores, one.verdict) == (None, "", {}, None)


def test_the_model_is_asked_for_each_batch_once_with_prompts_seeds_and_settings():
    backbone, stop = FakeBackbone(), lambda: False
    list(sample(batched(["a", "b", "c"], 2), backbone, SETTINGS, stop))
    assert backbone.calls == [[("a", 10), ("b", 11)], [("c", 12)]]
    assert backbone.asked == {"steps": 7, "guidance": SETTINGS.guidance, "micro": SETTINGS.micro, "should_stop": stop}


def test_what_the_model_says_of_one_image_stays_with_it():
    (made,) = run([tasks("a", "a prompt that is much too long", "c", "d")])
    assert [one.truncated for one in made] == [False, True, False, False]
    assert [one.nonfinite for one in made] == [False, False, False, True]  # seed 13


@pytest.mark.parametrize(
    ("count", "largest", "executed"),
    [
        (4, 4, [None] * 4),
        (4, 3, [2] * 4),
        (4, 1, [1] * 4),
        (5, 2, [2, 2, 1, 2, 2]),
        (7, 3, [3, 3, 3, 2, 2, 2, 2]),
        (1, 1, [None]),
    ],
)
def test_a_batch_that_runs_out_of_memory_is_split_and_says_so(count, largest, executed):
    (made,) = run([tasks(*"abcdefg"[:count])], FakeBackbone(largest))
    assert [one.task.key for one in made] == [f"{n:09d}" for n in range(count)]
    assert [one.batch_executed for one in made] in (executed, executed[: count // 2] + executed[count // 2 :])
    assert all(one.pixels_CHW is not None and not one.error for one in made)


def test_the_next_batch_is_tried_whole_again():
    backbone = FakeBackbone(largest=2)
    run(batched("abcdefgh", 4), backbone)
    assert [len(call) for call in backbone.calls] == [4, 2, 2, 4, 2, 2]


def test_a_failed_batch_is_out_of_memory_before_its_halves_are_tried():
    class Heavy:
        pass

    class Greedy(FakeBackbone):
        alive: ClassVar[list[weakref.ref[Heavy]]] = []

        def generate(self, *arguments, seeds, **options):
            gc.collect()
            assert [ref() for ref in self.alive] == [None] * len(self.alive)
            heavy = Heavy()  # stands for the latents that the failed call held
            self.alive.append(weakref.ref(heavy))
            return super().generate(*arguments, seeds=seeds, **options)

    (made,) = run([tasks(*"abcd")], Greedy(largest=1))
    assert [one.error for one in made] == [""] * 4
    assert len(Greedy.alive) == 7


@pytest.mark.parametrize("place", range(5))
def test_a_poisoned_prompt_is_one_row_and_its_neighbours_survive(place):
    texts = list("abcde")
    texts[place] = "poison"
    (made,) = run([tasks(*texts)])
    assert [one.task.prompt.text for one in made] == texts
    for number, one in enumerate(made):
        if number == place:
            assert (one.pixels_CHW, one.error) == (None, "ValueError: bad token in here")
        else:
            assert one.pixels_CHW is not None
            assert one.error == ""
            assert one.batch_executed is not None
            assert one.batch_executed < 5


def test_an_error_text_is_one_bounded_line():
    ERRORS["verbose"] = RuntimeError("word\n" * 1000)
    ((one,),) = run([tasks("verbose")])
    assert one.error.startswith("RuntimeError: word word")
    assert len(one.error) < 320
    assert "\n" not in one.error


def test_running_out_of_memory_for_a_single_image_is_a_row():
    (made,) = run([tasks("a", "memory")])
    assert [one.error for one in made] == ["", "MemoryError: "]


def test_a_size_that_never_fits_stops_the_run_and_leaves_no_row():
    with pytest.raises(ModelError, match=r"task 000000000 failed with OutOfMemoryError: CUDA out of memory\. Tried"):
        run([tasks("a")], FakeBackbone(largest=0))


@pytest.mark.parametrize("size", [1, 3, 8])
def test_a_device_that_breaks_is_named_and_none_of_its_failures_is_handed_on(size):
    class Breaking(FakeBackbone):
        def generate(self, *arguments, **options):
            if len(self.calls) >= 3:
                raise RuntimeError("cuDNN error:\nEXECUTION_FAILED")
            return super().generate(*arguments, **options)

    made = []
    with pytest.raises(ModelError) as caught:
        made.extend(sample(batched(["a"] * 40, size), Breaking(), SETTINGS, lambda: False))
    message = str(caught.value)
    assert "failed with RuntimeError: cuDNN error: EXECUTION_FAILED, an image without a prompt with Runtime" in message
    assert "\n" not in message
    assert [one.error for samples in made for one in samples] == [""] * 3 * size


@pytest.mark.parametrize("size", [1, 3, 4, 20])
def test_any_number_of_poisoned_prompts_are_rows_as_long_as_the_model_works(size):
    texts = [*["poison"] * 9, "a", *["poison"] * 9]
    batches = batched(texts, size)
    backbone = FakeBackbone()
    made = run(batches, backbone)
    assert [[one.task for one in samples] for samples in made] == batches
    assert [one.task.prompt.text for samples in made for one in samples if not one.error] == ["a"]
    probes = sum(call == [("", 0)] for call in backbone.calls)
    assert probes == sum(samples[-1].error != "" for samples in made)


@pytest.mark.parametrize(
    ("text", "kind"), [("device", torch.AcceleratorError), ("user", GenirError), ("ctrl-c", KeyboardInterrupt)]
)
def test_what_is_no_tasks_fault_passes_through(text, kind):
    backbone = FakeBackbone()
    with pytest.raises(kind) as caught:
        run([tasks("a", "b"), tasks("c", text)], backbone)
    assert caught.value is ERRORS[text]
    assert len(backbone.calls) == 2  # not tried again


def test_a_device_that_runs_out_of_memory_is_not_a_broken_device():
    assert not issubclass(torch.OutOfMemoryError, torch.AcceleratorError)


def test_a_stop_gives_up_the_batch_in_flight_only():
    backbone, made = FakeBackbone(), []
    with pytest.raises(Stopped):
        made.extend(sample(batched("abcdef", 2), backbone, SETTINGS, lambda: len(backbone.calls) > 2))
    assert [one.task.prompt.text for samples in made for one in samples] == list("abcd")


def test_prompts_are_encoded_once_before_the_first_image_in_the_planned_batches():
    backbone = FakeBackbone(largest=1)  # every batch is split, and not encoded again
    next(sample(batched("abcde", 2), backbone, SETTINGS, lambda: False))
    assert backbone.encoded == [["a", "b"], ["c", "d"], ["e"]]


def test_a_prompt_that_cannot_be_encoded_is_one_row():
    (first, second) = run(batched(["a", "b", "c", "unreadable"], 2))
    assert [one.error for one in first] == ["", ""]
    assert [one.error for one in second] == ["", "KeyError: 'no such token'"]
    assert [one.batch_executed for one in first + second] == [None, None, 1, None]


def test_text_encoders_leave_the_device_after_the_prompts_and_before_the_images():
    events = []

    class Watched(FakeBackbone):
        @property
        def text(self):
            return SimpleNamespace(offload=lambda: events.append("offload"))

        def encode_positive(self, texts):
            events.append("encode")
            return super().encode_positive(texts)

        def generate(self, *arguments, **options):
            events.append("generate")
            return super().generate(*arguments, **options)

    settings = replace(SETTINGS, offload_text_encoders=True)
    list(sample(batched("abc", 2), Watched(), settings, lambda: False))
    assert events == ["encode", "encode", "offload", "generate", "generate"]


def test_a_stop_is_heard_between_prompts():
    backbone = FakeBackbone()
    with pytest.raises(Stopped):
        next(sample(batched("abcdef", 2), backbone, SETTINGS, lambda: len(backbone.encoded) == 1))
    assert backbone.encoded == [["a", "b"]]
