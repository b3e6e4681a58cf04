"""`genir bench` on the embedded model: what it measures adds up, and it leaves nothing behind."""

import pytest
import torch

from genir.config.base import load
from genir.config.generate import Generate
from genir.jobs.generate import bench as job
from genir.jobs.generate.bench import Bench, bench
from genir.jobs.generate.launch import Launch
from genir.jobs.generate.measure import Measured

SMALL = ["size=[64,64]", "steps=2", "gates.quality={}", "device=cpu"]


def config(run, *overrides):
    return load(Generate, "configs/generate_embedded.yaml", [*SMALL, f"run={run}", *overrides])


def measured(batch, making, beside=0.1, peak=10):
    seconds = {"encode": 0.1, "denoise": making - 0.2, "decode": 0.1, "gate": beside / 2, "save": beside / 2}
    return Measured(batch, seconds, 0.5, peak, 1000.0)


def test_a_small_config_is_measured_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(job, "_enough", lambda measured, device: "two are enough" if len(measured) == 2 else "")
    found = bench(config(tmp_path / "run", "limit=500", "size=[[64,64],[64,128]]"))
    assert list(tmp_path.iterdir()) == []
    assert [one.batch for one in found.measured] == [1, 2]
    assert found.size == (64, 128)
    for one in found.measured:
        assert all(seconds > 0 for seconds in one.seconds.values())
        assert one.seconds_per_step * 2 == pytest.approx(one.seconds["denoise"] * one.batch)
        assert 100e6 < one.peak_bytes < 20e9
        assert 64 * 128 * 0.1 < one.image_bytes < 64 * 128 * 4
        assert 0 < one.efficiency <= 1
    told = found.facts()
    assert told["tasks"] == 500
    assert told["device_hours"] == pytest.approx(500 * found.best.seconds_per_image / 3600)
    assert f"put into the config: batch: {found.best.batch}" in found.lines()


def test_out_of_memory_ends_the_search(tmp_path, monkeypatch):
    load_whole = Launch.backbone

    def small_device(launch):
        backbone = load_whole(launch)
        predict = backbone.adapter.predict

        def limited(latents, t, inputs):
            if len(latents) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return predict(latents, t, inputs)

        object.__setattr__(backbone.adapter, "predict", limited)
        return backbone

    monkeypatch.setattr(Launch, "backbone", small_device)
    monkeypatch.setattr("genir.halves.PAUSE", 0.0)
    found = bench(config(tmp_path / "run"))
    assert [one.batch for one in found.measured] == [1]
    assert found.ended == "2 images do not fit into the memory of cpu"


def test_the_search_ends_when_more_is_no_faster():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert job._enough([measured(1, 2.0)], gpu) == ""
    assert job._enough([measured(1, 2.0), measured(2, 1.5)], gpu) == ""
    assert "are not 3% faster" in job._enough([measured(1, 2.0), measured(2, 1.96)], gpu)
    large = 10**15
    assert "would need about" in job._enough([measured(1, 2.0), measured(2, 1.5, peak=large)], cpu)
    assert job._enough([measured(1, 2.0), measured(2, 1.5, peak=large)], gpu) == ""


def test_the_best_is_the_smallest_of_about_the_fastest_and_slow_gates_count():
    rows = [measured(1, 2.0), measured(2, 1.02), measured(4, 1.0), measured(8, 0.5, beside=1.0)]
    found = Bench("cpu", "embedded", (64, 64), 2, 7200, rows, "enough", 999)
    assert found.best.batch == 2
    assert rows[3].efficiency == pytest.approx(0.5)
    assert found.facts()["device_hours"] == pytest.approx(2 * 1.02)
    assert found.facts()["bytes"] == 7200 * 1000
    assert sum(rows[0].shares.values()) == pytest.approx(1)
    (line,) = [line for line in found.lines() if line.endswith("<")]
    assert line.split()[:2] == ["2", "0.980"]
