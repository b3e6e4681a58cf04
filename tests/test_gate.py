"""Judging: order of the reasons, everything scored, nothing dropped."""

import math

import numpy as np
import pytest
import torch

from genir.errors import ModelError
from genir.gate import Gate, face_gate, judge, quality_gate, signal_gate
from genir.records import Prompt, Sample, Task

CPU = torch.device("cpu")


def task(number=0, height=64, width=64):
    return Task(f"{number:09d}", Prompt("a boat"), number, height, width)


def made(value=0, number=0, **facts):
    return Sample(task(number), np.full((3, 64, 64), value, np.uint8), **facts)


def failed(error="ValueError: bad token", number=0):
    return Sample(task(number), None, error=error)


class Fake:
    """A gate that scores the first pixel and fails it at `limit`."""

    def __init__(self, name, limit):
        self.batches = []

        def score(images_NCHW):
            assert images_NCHW.dtype == torch.uint8
            self.batches.append(len(images_NCHW))
            return [{name: float(image[0, 0, 0])} for image in images_NCHW]

        self.gate = Gate({name: "float"}, score, lambda scores: name if scores[name] >= limit else "")


def fakes():
    return Fake("face", 200), Fake("signal.std", 100), Fake("quality.piqe", 50)


def verdicts(samples, gates, score_only=False):
    judge(samples, gates, score_only, CPU)
    return [(one.verdict.verdict, one.verdict.reason) for one in samples]


def test_the_first_failing_gate_is_the_reason():
    gates = [fake.gate for fake in fakes()]
    assert verdicts([made(10), made(60), made(150), made(250)], gates) == [
        ("kept", ""),
        ("rejected", "quality.piqe"),
        ("rejected", "signal.std"),
        ("rejected", "face"),
    ]


def test_every_gate_scores_every_image_that_has_pixels_in_one_batch():
    three = fakes()
    samples = [made(250), failed(), made(10)]
    verdicts(samples, [fake.gate for fake in three])
    assert [fake.batches for fake in three] == [[2]] * 3
    assert samples[0].scores == {"face": 250.0, "signal.std": 250.0, "quality.piqe": 250.0}
    assert samples[2].scores == {"face": 10.0, "signal.std": 10.0, "quality.piqe": 10.0}
    assert samples[1].scores == {}


def test_a_face_is_the_reason_even_where_the_decoder_failed():
    gates = [fake.gate for fake in fakes()]
    found = verdicts([made(250, nonfinite=True), made(150, nonfinite=True), made(10, nonfinite=True)], gates)
    assert found == [("rejected", "face"), ("rejected", "signal.nonfinite"), ("rejected", "signal.nonfinite")]


def test_an_image_a_gate_cannot_score_is_a_row_and_its_neighbours_survive():
    def score(images_NCHW):
        if (images_NCHW == 13).any():
            raise ValueError("unlucky\nimage")
        return [{"s": 1.0} for _ in images_NCHW]

    gate = Gate({"s": "float"}, score, lambda scores: "")
    samples = [made(1), made(13), made(3)]
    assert verdicts(samples, [gate]) == [("kept", ""), ("error", "error:ValueError"), ("kept", "")]
    assert samples[1].error == "ValueError: unlucky image"


def test_a_gate_that_can_score_nothing_stops_the_run_and_leaves_no_row():
    def score(images_NCHW):
        raise RuntimeError("out of memory\nwhile looking for faces")

    gate = Gate({"s": "float"}, score, lambda scores: "")
    with pytest.raises(
        ModelError, match=r"RuntimeError: out of memory while looking for faces; nor a black image"
    ) as e:
        verdicts([made(1), made(13)], [gate])
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_not_measured(value):
    bounded = signal_gate({"std": (0.0, None)})
    gate = Gate({"signal_std": "float"}, lambda images_NCHW: [{"signal_std": value}], bounded.fails)
    sample = made(1)
    assert verdicts([sample], [gate]) == [("rejected", "signal.std")]
    assert sample.scores == {"signal_std": None}


def test_score_only_keeps_everything_that_has_pixels_and_still_scores():
    (face, *_) = fakes()
    samples = [made(250), made(250, nonfinite=True), failed()]
    found = verdicts(samples, [face.gate], score_only=True)
    assert found == [("kept", ""), ("kept", ""), ("error", "error:ValueError")]
    assert samples[0].scores == {"face": 250.0}


@pytest.mark.parametrize("score_only", [False, True])
def test_a_failed_task_is_an_error_row_with_the_class_alone(score_only):
    (face, *_) = fakes()
    assert verdicts([failed("KeyError: 'a: b'"), failed("MemoryError: ")], [face.gate], score_only) == [
        ("error", "error:KeyError"),
        ("error", "error:MemoryError"),
    ]
    assert face.batches == []  # nothing to score


def test_without_gates_all_pixels_are_kept():
    assert verdicts([made(0), made(255)], []) == [("kept", ""), ("kept", "")]


def tables():
    bounds = {"piqe": (None, None), "niqe_32": (None, None)}
    return {
        "face": face_gate(0.3, (1.0,), None, CPU),
        "signal": signal_gate({}),
        "quality": quality_gate(bounds),
    }


@pytest.mark.parametrize("name", ["face", "signal", "quality"])
def test_the_scores_are_the_declared_columns_in_order_with_their_types(name):
    gate = tables()[name]
    noise = torch.randint(0, 256, (2, 3, 128, 128), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    rows = gate.score(noise)
    assert len(rows) == 2
    for row in rows:
        assert list(row) == list(gate.columns)
        assert {key: type(value).__name__ for key, value in row.items()} == gate.columns
        assert gate.fails(row) == ""


BOUNDED = [
    ({"entropy": (4.0, None)}, {"entropy": 4.0}, ""),
    ({"entropy": (4.0, None)}, {"entropy": 3.9}, "signal.entropy"),
    ({"entropy": (None, 7.0)}, {"entropy": 7.0}, ""),
    ({"entropy": (None, 7.0)}, {"entropy": 7.1}, "signal.entropy"),
    ({"entropy": (4.0, 7.0)}, {"entropy": math.nan}, "signal.entropy"),
    ({"entropy": (None, 7.0)}, {"entropy": math.nan}, "signal.entropy"),
    ({"entropy": (4.0, None)}, {"entropy": None}, "signal.entropy"),
    ({"entropy": (4.0, None)}, {"entropy": math.inf}, ""),
    ({"entropy": (None, None)}, {"entropy": math.nan}, ""),  # measured, not bounded
    ({"std": (4.0, None), "entropy": (4.0, None)}, {"std": 1.0, "entropy": 1.0}, "signal.std"),
    ({"entropy": (4.0, None), "std": (4.0, None)}, {"std": 1.0, "entropy": 1.0}, "signal.entropy"),
    ({}, {"std": 0.0}, ""),
]


@pytest.mark.parametrize(("bounds", "scores", "reason"), BOUNDED)
def test_bounds_are_inclusive_and_nan_is_inside_none(bounds, scores, reason):
    gate = signal_gate(bounds)
    assert gate.fails({f"signal_{name}": value for name, value in scores.items()}) == reason


@pytest.mark.parametrize(
    ("score", "reason"), [(0.29, ""), (0.3, "face"), (1.0, "face"), (None, "face"), (math.nan, "face"), (0.0, "")]
)
def test_a_face_score_that_reaches_the_threshold_or_is_unknown_rejects(score, reason):
    assert tables()["face"].fails({"face_score": score, "face_count": 0, "face_area": 0.0}) == reason


def test_the_quality_gate_scores_the_metrics_it_is_given_and_no_others():
    gate = quality_gate({"niqe_96": (None, 5.0)})
    assert gate.columns == {"quality_niqe_96": "float"}
    assert gate.fails({"quality_niqe_96": 5.1}) == "quality.niqe_96"


def test_a_flat_image_is_rejected_by_the_real_signal_gate():
    assert verdicts([made(128)], [signal_gate({"std": (4.0, None)})]) == [("rejected", "signal.std")]


@pytest.mark.parametrize(("side", "passes"), [(512, [4, 2]), (1024, [1] * 6), (2048, [1] * 6)])
def test_large_images_are_scored_few_at_a_time(side, passes):
    (face, *_) = fakes()
    pixels = np.zeros((3, side, side), np.uint8)
    samples = [Sample(Task(f"{n:09d}", Prompt("a lake"), 0, side, side), pixels) for n in range(6)]
    verdicts(samples, [face.gate])
    assert face.batches == passes
