"""Partitions: every row once, every worker something, the law that was asked for."""

import numpy as np
import pytest

from stsyn_mpi.datasets import parse_partition, partition
from stsyn_mpi.errors import InputError

LABELS = np.random.default_rng(3).integers(0, 10, 6000)
TEXTS = ["iid", "shards", "shards:per_worker=3", "dirichlet:alpha=0.3"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("n_workers", [1, 2, 7, 20])
def test_every_row_belongs_to_one_worker(text, n_workers):
    parts = partition(text, LABELS, n_workers, seed=5)
    assert len(parts) == n_workers
    assert all(part.dtype == np.int64 and len(part) for part in parts)
    assert all((np.diff(part) > 0).all() for part in parts)
    np.testing.assert_array_equal(
        np.sort(np.concatenate(parts)), np.arange(len(LABELS))
    )


@pytest.mark.parametrize("text", TEXTS)
def test_seed_alone_decides(text):
    one, same, other = (partition(text, LABELS, 6, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("text", ["iid", "shards"])
def test_sizes_differ_by_one_at_most(text):
    sizes = [len(part) for part in partition(text, LABELS[:5003], 20, seed=0)]
    assert max(sizes) - min(sizes) == 1


def test_iid_is_not_in_file_order():
    first = partition("iid", LABELS, 4, seed=0)[0]
    # Uniform over 0..5999: mean 2999.5, standard error of 1500 draws below 45.
    assert abs(first.mean() - 2999.5) < 4 * 45
    counts = np.bincount(LABELS[first], minlength=10)
    assert counts.min() > 90


def test_shards_are_the_paper_s():
    """Sorted labels cut into M shards: ten classes, twenty workers, one label each."""
    labels = np.tile(np.arange(10), 100)
    parts = partition("shards", labels, 20, seed=0)
    owned = [np.unique(labels[part]) for part in parts]
    assert all(len(classes) == 1 for classes in owned)
    assert sorted(int(classes[0]) for classes in owned) == sorted(2 * list(range(10)))


def test_two_shards_per_worker_are_runs_of_sorted_labels():
    order = np.argsort(LABELS, kind="stable")
    place = np.empty(len(LABELS), int)
    place[order] = np.arange(len(LABELS))
    for part in partition("shards:per_worker=2", LABELS, 10, seed=4):
        runs = 1 + np.count_nonzero(np.diff(np.sort(place[part])) > 1)
        assert runs <= 2
        assert len(part) == 600


def test_dirichlet_shares_have_the_variance_of_their_law():
    """Share of one worker in one class: mean 1/M, var (M-1) / (M^2 (M alpha + 1))."""
    labels = np.repeat(np.arange(4), 2000)
    n_workers, alpha = 5, 0.5
    shares = np.array(
        [
            [np.bincount(labels[part], minlength=4) / 2000 for part in parts]
            for parts in (
                partition(f"dirichlet:alpha={alpha}", labels, n_workers, seed)
                for seed in range(150)
            )
        ]
    )
    variance = (n_workers - 1) / (n_workers**2 * (n_workers * alpha + 1))
    assert shares.mean() == pytest.approx(1 / n_workers)
    # 3000 dependent draws; four standard errors of a variance are near 12 %.
    assert shares.var() == pytest.approx(variance, rel=0.12)


def test_dirichlet_does_not_follow_the_order_of_the_file():
    labels = np.zeros(4000, int)
    first = partition("dirichlet:alpha=1e3", labels, 4, seed=0)[0]
    assert abs(first.mean() - 1999.5) < 4 * 1155 / np.sqrt(len(first))


def test_large_alpha_is_nearly_iid():
    for part in partition("dirichlet:alpha=1e5", LABELS, 4, seed=0):
        counts = np.bincount(LABELS[part], minlength=10)
        np.testing.assert_allclose(counts, np.bincount(LABELS) / 4, rtol=0.05)


def test_dirichlet_draws_again_rather_than_leave_a_worker_without_data():
    for seed in range(20):
        parts = partition("dirichlet:alpha=0.05", LABELS[:200], 12, seed)
        assert min(len(part) for part in parts) >= 1


@pytest.mark.parametrize("text", ["iid", "shards", "dirichlet"])
def test_one_row_each_is_enough_for_all_but_dirichlet(text):
    if text == "dirichlet":
        with pytest.raises(InputError, match="larger alpha or fewer workers"):
            partition("dirichlet:alpha=0.01", LABELS[:30], 30, seed=0)
    else:
        assert [len(p) for p in partition(text, LABELS[:5], 5, seed=0)] == [1] * 5


@pytest.mark.parametrize(
    ("text", "n_workers"), [("iid", 11), ("shards:per_worker=6", 2), ("dirichlet", 11)]
)
def test_more_parts_than_rows(text, n_workers):
    with pytest.raises(InputError, match=r"1[12] parts for .* only 10 training images"):
        partition(text, LABELS[:10], n_workers, seed=0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sharts", "did you mean 'shards'"),
        ("shards:per=2", "per_worker"),
        ("shards:per_worker=0", "per_worker"),
        ("shards:per_worker=1.5", "per_worker"),
        ("iid:alpha=1", "no parameter 'alpha'"),
        ("dirichlet:alpha=0", "alpha is 0; allowed are 0.001 to"),
        ("dirichlet:alpha=-1", "alpha is -1"),
        ("dirichlet:alpha=nan", "alpha"),
        ("dirichlet:alpha=1e9", "alpha is 1e"),
        ("", "partition"),
    ],
)
def test_bad_text(text, words):
    with pytest.raises(InputError) as caught:
        parse_partition(text)
    assert words in str(caught.value)


def test_defaults():
    assert parse_partition("shards").per_worker == 1
    assert parse_partition("dirichlet").alpha == 0.5
