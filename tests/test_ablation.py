"""The ablation's statistics and its work list; the rows themselves are the benchmark."""

import json
import sys

import pytest
import torch
from processes import TESTS

from genir import storage
from genir.metrics.features.kernel import kernel_distance

sys.path.append(str(TESTS / "bench"))


@pytest.fixture
def features():
    """(plain, better, reference): the same 60 tasks in two rows; the second is nearer to the reference."""
    draw = torch.Generator().manual_seed(3)
    tasks, reference = (torch.randn(n, 16, generator=draw) for n in (60, 200))
    worse = 1.5 * torch.ones(16)
    return tasks + worse, tasks + 0.5 * worse, reference


def test_the_sample_itself_has_the_distance_that_genir_computes(features):
    from ablated import paired

    counts = paired.resamples(60, 50)
    found = paired.kernel_distances(features[0], features[2], counts)
    assert found.shape == (51,)
    assert float(found[0]) == pytest.approx(kernel_distance(features[0], features[2]).value, abs=1e-9)
    assert counts.sum(1).tolist() == [60] * 51


def test_resamples_have_the_distance_of_the_set_with_repetitions(features):
    from ablated import paired

    counts = torch.ones(1, 60).double()
    counts[0, :2] = torch.tensor([0.0, 2.0])
    (found,) = paired.kernel_distances(features[0], features[2], counts)
    repeated, groups = features[0][[1, 1, *range(2, 60)]], torch.tensor([1, 1, *range(2, 60)])
    assert float(found) == pytest.approx(kernel_distance(repeated, features[2], groups).value, abs=1e-9)


def test_a_difference_is_surer_than_the_distances(features):
    from ablated import paired

    counts = paired.resamples(60, 400)
    plain, better = (paired.kernel_distances(one, features[2], counts) for one in features[:2])
    own, low, high = paired.interval(plain - better)
    assert 0 < low < own < high
    _, plain_low, plain_high = paired.interval(plain)
    assert high - low < plain_high - plain_low


def test_every_missing_file_is_made_once_and_what_another_process_makes_is_waited_for(tmp_path, monkeypatch):
    import ablation
    from ablated.scenes import digest

    made = []

    def job(name, needs=None):
        path = tmp_path / name / "file.json"

        def make():
            path.parent.mkdir(exist_ok=True)
            made.append(name)
            path.write_text(json.dumps(name))

        return ablation.Job(path, needs and tmp_path / needs / "file.json", make)

    jobs = [job("drawn", "learned"), job("learned"), job("elsewhere"), job("drawn too", "learned")]
    (tmp_path / "locks").mkdir()
    lock = storage.try_lock(tmp_path / "locks" / digest("elsewhere/file.json"))
    assert lock is not None

    def other_process_ends(_seconds):
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "file.json").write_text("{}")

    monkeypatch.setattr(ablation.time, "sleep", other_process_ends)
    ablation.work(jobs, tmp_path)
    assert sorted(made) == ["drawn", "drawn too", "learned"]
    assert made[0] == "learned"


def test_pictures_are_measured_and_limits_reject_a_twentieth():
    from ablated.scenes import SCORES, Scenes, measure

    from genir.metrics.features import network

    images_NCHW = torch.randint(0, 256, (6, 3, 128, 128), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    images_NCHW[:3] = images_NCHW[:3] // 8 + 100
    features_NF, scores_NS = measure(images_NCHW, network.load())
    assert features_NF.shape == (6, network.FEATURES)
    assert scores_NS.shape == (6, len(SCORES))
    assert (scores_NS[:3, 2] > scores_NS[3:, 2]).all()  # less of a Laplacian
    spread_NS = torch.rand(3000, len(SCORES), generator=torch.Generator().manual_seed(1))
    scenes = Scenes([], torch.empty(0), torch.empty(0), torch.empty(0), spread_NS)
    assert float((spread_NS > scenes.limits_S).any(1).float().mean()) == pytest.approx(0.05, abs=0.005)
