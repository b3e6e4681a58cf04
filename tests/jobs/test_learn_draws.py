"""What a forward pass gets is a function of its number."""

from collections import Counter
from pathlib import Path

import pytest
import torch

from genir.errors import Stopped
from genir.jobs.learn.cache import CHUNK, Cache
from genir.jobs.learn.draws import DenoiseBatches, Draws, PairBatches, Stream
from genir.trainset import Picture


def picture(number, role="positive", size=(16, 16)):
    return Picture(f"line {number}", Path(f"{number}.png"), f"text {number}", role, str(number), "x", (32, 24), size)


@pytest.fixture
def draws(tmp_path):
    """Six positives and three negatives of two sizes; a picture's latents hold its number."""
    pictures = [picture(n, "positive" if n < 6 else "negative", (16, 16) if n % 3 else (16, 24)) for n in range(9)]
    cache = Cache(tmp_path, "latents", 9)

    def make(item):
        rows, columns = pictures[item].size_HW
        return {"latents": torch.full((4, rows // 8, columns // 8), float(item))}

    cache.fill(make, 0, 1, lambda: False)
    return Draws(
        pictures, cache, seed=1, device=torch.device("cpu"), timesteps=(100, 300), caption_dropout=0.5, own_micro=True
    )


def numbers(examples):
    return [] if examples is None else examples.latents_NCHW[:, 0, 0, 0].int().tolist()


def test_a_stream_gives_every_item_once_before_it_gives_one_again():
    stream = Stream("abcde", 3, "letters")
    rounds = ["".join(stream.take(5 * n, 5 * n + 5)) for n in range(4)]
    assert all(sorted(turn) == list("abcde") for turn in rounds)
    assert len(set(rounds)) > 1
    assert "".join(stream.take(3, 9)) == (rounds[0] + rounds[1])[3:9]


@pytest.mark.parametrize(("batch", "ratio"), [(4, 0.5), (1, 0.5), (3, 0.25), (2, 0.0)])
def test_over_the_passes_the_ratio_is_exact(draws, batch, ratio):
    batches = DenoiseBatches(draws, range(6), range(6, 9), batch, ratio)
    sides = [batches(number) for number in range(96)]
    bad = sum(len(numbers(negatives)) for _, negatives in sides)
    assert bad == 96 * batch * ratio
    assert sum(len(numbers(positives)) for positives, _ in sides) == 96 * batch - bad
    for positives, negatives in sides:
        both = numbers(positives) + numbers(negatives)
        assert len(both) == batch
        assert len({draws.pictures[n].size_HW for n in both}) == 1
    seen = Counter(n for positives, _ in sides for n in numbers(positives))
    assert set(seen) == set(range(6))


def test_a_pass_is_the_same_whatever_was_asked_before(draws):
    def batch():
        return DenoiseBatches(draws, range(6), range(6, 9), 4, 0.5)

    in_order = batch()
    everything = [in_order(number) for number in range(8)]
    (alone, _), (there, _) = batch()(5), everything[5]
    assert torch.equal(alone.noise_NCHW, there.noise_NCHW)
    assert torch.equal(alone.timesteps_N, there.timesteps_N)
    assert alone.captions == there.captions
    assert not torch.equal(everything[4][0].noise_NCHW[0], alone.noise_NCHW[0])


def test_timesteps_captions_and_sizes_are_as_asked(draws):
    batches = DenoiseBatches(draws, range(6), range(6, 9), 4, 0.0)
    drawn = [batches(number)[0] for number in range(40)]
    timesteps = torch.cat([examples.timesteps_N for examples in drawn])
    assert (timesteps.min() >= 100, timesteps.max() < 300, len(timesteps.unique()) > 60) == (True, True, True)
    captions = [caption for examples in drawn for caption in examples.captions]
    assert 0.3 < captions.count("") / len(captions) < 0.7
    micro = drawn[0].micro[0]
    assert micro.original == (32, 24)
    assert micro.crop == draws.pictures[numbers(drawn[0])[0]].crop != (0, 0)


def test_pairs_share_noise_timesteps_and_captions(draws):
    pairs = [(n, 6 + n % 3) for n in range(6)]
    positives, negatives = PairBatches(draws, pairs, 3, "pair")(2)
    assert list(zip(numbers(positives), numbers(negatives), strict=True)) != []
    assert set(zip(numbers(positives), numbers(negatives), strict=True)) <= set(pairs)
    assert positives.noise_NCHW is negatives.noise_NCHW
    assert positives.timesteps_N is negatives.timesteps_N
    assert positives.captions == negatives.captions


def test_a_cache_is_filled_by_several_and_goes_on_where_it_was_stopped(tmp_path):
    made = []

    def make(item):
        made.append(item)
        return {"value": torch.tensor([item])}

    count = 2 * CHUNK + 3
    with pytest.raises(Stopped):
        Cache(tmp_path, "x", count).fill(make, 0, 1, lambda: len(made) > CHUNK + 5)
    assert [path.name for path in tmp_path.iterdir()] == ["x-000000.safetensors"]
    made.clear()
    for rank in range(2):
        Cache(tmp_path, "x", count).fill(make, rank, 2, lambda: False)
    assert sorted(made) == list(range(CHUNK, count))
    cache = Cache(tmp_path, "x", count)
    assert [int(cache.read(item, "value")) for item in (0, CHUNK, count - 1)] == [0, CHUNK, count - 1]
