"""Judging: order of the reasons, everything scored, nothing dropped."""

import math

import numpy as np
import pytest
import torch

from genir.config.gates import Bound, Gates, SignalGate
from genir.errors import ModelError
from genir.gate import Gate, check_size, judge
from genir.gate.measures import face_gate, quality_gate, signal_gate
from genir.records import Check, Prompt, Sample, Task, first_failing

CPU = torch.device("cpu")


def task(number=0, height=64, width=64):
    return Task(f"{number:09d}", Prompt("a boat"), number, height, width)


def made(value=0, number=0, **facts):
    return Sample(task(number), np.full((3, 64, 64), value, np.uint8), **facts)


def failed(error="ValueError: bad token", number=0):
    return Sample(task(number), None, error=error)


class Fake:
    """A gate that scores the first pixel and fails it at `limit`."""

    def __init__(self, name, limit, costly=False):
        self.batches = []

        def score(images_NCHW, prompts):
            assert images_NCHW.dtype == torch.uint8
            self.batches.append(len(images_NCHW))
            return [{name: float(image[0, 0, 0])} for image in images_NCHW]

        self.gate = Gate({name: "float"}, score, costly=costly)
        self.check = Check(name, name, high=limit, reaching=True)


def fakes():
    """In the order in which their checks are asked."""
    return Fake("face", 200), Fake("signal.std", 100), Fake("quality.piqe", 50)


def parts(three):
    return [fake.gate for fake in three], [fake.check for fake in three]


def verdicts(samples, gates, checks=(), score_only=False):
    judge(samples, gates, checks, score_only, CPU)
    return [(one.verdict.verdict, one.verdict.reason) for one in samples]


def test_the_first_failing_gate_is_the_reason():
    assert verdicts([made(10), made(60), made(150), made(250)], *parts(fakes())) == [
        ("kept", ""),
        ("rejected", "quality.piqe"),
        ("rejected", "signal.std"),
        ("rejected", "face"),
    ]


def test_every_gate_scores_every_image_that_has_pixels_in_one_batch():
    three = fakes()
    samples = [made(250), failed(), made(10)]
    verdicts(samples, *parts(three))
    assert [fake.batches for fake in three] == [[2]] * 3
    assert samples[0].scores == {"face": 250.0, "signal.std": 250.0, "quality.piqe": 250.0}
    assert samples[2].scores == {"face": 10.0, "signal.std": 10.0, "quality.piqe": 10.0}
    assert samples[1].scores == {}


def test_a_costly_gate_sees_only_what_the_others_pass_and_leaves_nulls():
    costly, cheap = Fake("vlm", 20, costly=True), Fake("face", 200)
    samples = [made(250), made(10), made(5, nonfinite=True), made(30)]
    found = verdicts(samples, [costly.gate, cheap.gate], [cheap.check, costly.check])
    assert found == [("rejected", "face"), ("kept", ""), ("rejected", "signal.nonfinite"), ("rejected", "vlm")]
    assert (cheap.batches, costly.batches) == ([4], [2])
    assert [sample.scores["vlm"] for sample in samples] == [None, 10.0, None, 30.0]


def test_a_second_costly_gate_is_not_asked_about_what_the_first_rejects():
    first, second = Fake("persons", 20, costly=True), Fake("vlm", 200, costly=True)
    samples = [made(30), made(10)]
    assert verdicts(samples, [first.gate, second.gate], [first.check, second.check]) == [
        ("rejected", "persons"),
        ("kept", ""),
    ]
    assert second.batches == [1]


def test_score_only_asks_costly_gates_about_everything():
    costly = Fake("vlm", 20, costly=True)
    verdicts([made(250), made(10)], [costly.gate], [costly.check], score_only=True)
    assert costly.batches == [2]


def test_a_gate_is_given_the_prompts():
    gate = Gate({"said": "string"}, lambda images_NCHW, prompts: [{"said": prompt} for prompt in prompts])
    sample = made(1)
    verdicts([sample], [gate])
    assert sample.scores == {"said": "a boat"}


def test_a_face_is_the_reason_even_where_the_decoder_failed():
    samples = [made(250, nonfinite=True), made(150, nonfinite=True), made(10, nonfinite=True)]
    found = verdicts(samples, *parts(fakes()))
    assert found == [("rejected", "face"), ("rejected", "signal.nonfinite"), ("rejected", "signal.nonfinite")]


def test_an_image_a_gate_cannot_score_is_a_row_and_its_neighbours_survive():
    def score(images_NCHW, prompts):
        if (images_NCHW == 13).any():
            raise ValueError("unlucky\nimage")
        return [{"s": 1.0} for _ in images_NCHW]

    gate = Gate({"s": "float"}, score)
    samples = [made(1), made(13), made(3)]
    assert verdicts(samples, [gate]) == [("kept", ""), ("error", "error:ValueError"), ("kept", "")]
    assert samples[1].error == "ValueError: unlucky image"
    assert [one.batch_executed for one in samples] == [1, 1, 1], "their scores are those of a batch of one"


def test_memory_that_the_denoiser_held_for_a_moment_costs_no_image(monkeypatch):
    monkeypatch.setattr("genir.halves.PAUSE", 0.0)
    held = iter([True] * 5)

    def score(images_NCHW, prompts):
        if next(held, False):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [{"s": 1.0} for _ in images_NCHW]

    samples = [made(1), made(2)]
    assert verdicts(samples, [Gate({"s": "float"}, score)]) == [("kept", "")] * 2


def test_a_gate_that_can_score_nothing_stops_the_run_and_leaves_no_row():
    def score(images_NCHW, prompts):
        raise RuntimeError("out of memory\nwhile looking for faces")

    gate = Gate({"s": "float"}, score)
    with pytest.raises(
        ModelError, match=r"RuntimeError: out of memory while looking for faces; nor a black image"
    ) as e:
        verdicts([made(1), made(13)], [gate])
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_not_measured(value):
    gate = Gate({"signal_std": "float"}, lambda images_NCHW, prompts: [{"signal_std": value}])
    sample = made(1)
    assert verdicts([sample], [gate], [Check("signal.std", "signal_std", low=0.0)]) == [("rejected", "signal.std")]
    assert sample.scores == {"signal_std": None}


def test_score_only_keeps_everything_that_has_pixels_and_still_scores():
    (face, *_) = fakes()
    samples = [made(250), made(250, nonfinite=True), failed()]
    found = verdicts(samples, [face.gate], [face.check], score_only=True)
    assert found == [("kept", ""), ("kept", ""), ("error", "error:ValueError")]
    assert samples[0].scores == {"face": 250.0}


@pytest.mark.parametrize("score_only", [False, True])
def test_a_failed_task_is_an_error_row_with_the_class_alone(score_only):
    (face, *_) = fakes()
    assert verdicts([failed("KeyError: 'a: b'"), failed("MemoryError: ")], [face.gate], [face.check], score_only) == [
        ("error", "error:KeyError"),
        ("error", "error:MemoryError"),
    ]
    assert face.batches == []  # nothing to score


def test_without_gates_all_pixels_are_kept():
    assert verdicts([made(0), made(255)], []) == [("kept", ""), ("kept", "")]


def tables():
    return {
        "face": face_gate((1.0,), None, CPU),
        "signal": signal_gate(None),
        "quality": quality_gate(["piqe", "niqe_32"]),
    }


@pytest.mark.parametrize("name", ["face", "signal", "quality"])
def test_the_scores_are_the_declared_columns_in_order_with_their_types(name):
    gate = tables()[name]
    noise = torch.randint(0, 256, (2, 3, 128, 128), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    rows = gate.score(noise, ["", ""])
    assert len(rows) == 2
    for row in rows:
        assert list(row) == list(gate.columns)
        assert {key: type(value).__name__ for key, value in row.items()} == gate.columns


BOUNDED = [
    ({"entropy": (4.0, None)}, {"entropy": 4.0}, ""),
    ({"entropy": (4.0, None)}, {"entropy": 3.9}, "signal.entropy"),
    ({"entropy": (None, 7.0)}, {"entropy": 7.0}, ""),
    ({"entropy": (None, 7.0)}, {"entropy": 7.1}, "signal.entropy"),
    ({"entropy": (4.0, 7.0)}, {"entropy": math.nan}, "signal.entropy"),
    ({"entropy": (None, 7.0)}, {"entropy": math.nan}, "signal.entropy"),
    ({"entropy": (4.0, None)}, {"entropy": None}, "signal.entropy"),
    ({"entropy": (4.0, None)}, {"entropy": math.inf}, ""),
    ({"std": (4.0, None), "entropy": (4.0, None)}, {"std": 1.0, "entropy": 1.0}, "signal.std"),
    ({"entropy": (4.0, None), "std": (4.0, None)}, {"std": 1.0, "entropy": 1.0}, "signal.entropy"),
    ({}, {"std": 0.0}, ""),
]


@pytest.mark.parametrize(("bounds", "scores", "reason"), BOUNDED)
def test_bounds_are_inclusive_and_nan_is_inside_none(bounds, scores, reason):
    checks = [Check(f"signal.{name}", name, low, high) for name, (low, high) in bounds.items()]
    assert first_failing(checks, scores) == reason


@pytest.mark.parametrize(
    ("score", "reason"), [(0.29, ""), (0.3, "face"), (1.0, "face"), (None, "face"), (math.nan, "face"), (0.0, "")]
)
def test_a_face_score_that_reaches_the_threshold_or_is_unknown_rejects(score, reason):
    assert first_failing(Gates().checks(), {"face_score": score, "signal_std": 9.0}) == reason


def test_the_quality_gate_scores_the_metrics_it_is_given_and_no_others():
    assert quality_gate(["niqe_96"]).columns == {"quality_niqe_96": "float"}


def test_the_thresholds_of_a_configuration_in_the_order_in_which_they_are_asked():
    gates = Gates(signal=SignalGate(min_std=4, max_flat=0.5), quality={"piqe": Bound(max=40), "niqe_32": Bound()})
    words = [check.in_words() for check in gates.checks()]
    assert words == ["face < 0.3", "std >= 4", "flat <= 0.5", "piqe <= 40"]
    assert Gates(face=None, signal=None, quality={}).checks() == []


def test_a_flat_image_is_rejected_by_the_real_signal_gate():
    checks = Gates(face=None, quality={}).checks()
    assert verdicts([made(128)], [signal_gate(None)], checks) == [("rejected", "signal.std")]


def test_pictures_of_several_sizes_are_scored_size_by_size():
    (face, *_) = fakes()
    small = Sample(task(1), np.zeros((3, 48, 64), np.uint8))
    samples = [made(10), small, made(250)]
    assert [verdict for verdict, _ in verdicts(samples, [face.gate], [face.check])] == ["kept", "kept", "rejected"]
    assert face.batches == [2, 1]


def test_a_picture_that_is_too_small_for_a_gate_is_a_row():
    tiny = Sample(task(1), np.zeros((3, 20, 20), np.uint8))
    ((verdict, reason),) = verdicts([tiny], [signal_gate(None)])
    assert (verdict, reason) == ("error", "error:ImageError")
    assert "20x20 pixels (height x width), but 32 is the smallest side" in tiny.error


@pytest.mark.parametrize(("side", "passes"), [(512, [4, 2]), (1024, [1] * 6), (2048, [1] * 6)])
def test_large_images_are_scored_few_at_a_time(side, passes):
    (face, *_) = fakes()
    pixels = np.zeros((3, side, side), np.uint8)
    samples = [Sample(Task(f"{n:09d}", Prompt("a lake"), 0, side, side), pixels) for n in range(6)]
    verdicts(samples, [face.gate])
    assert face.batches == passes


def test_a_size_that_a_network_cannot_take_is_one_line():
    def score(images_NCHW, prompts):
        raise RuntimeError("Kernel size can't be greater than\nactual input size")

    with pytest.raises(ModelError) as caught:
        check_size(Gate({"quality_pyiqa:x": "float"}, score), (64, 96), CPU)
    assert str(caught.value) == (
        "gates: quality_pyiqa:x cannot be measured on a black image of 64x96 pixels (RuntimeError: Kernel size can't "
        "be greater than actual input size); choose another size, or leave the gate out"
    )
    check_size(Fake("face", 200).gate, (64, 96), CPU)
