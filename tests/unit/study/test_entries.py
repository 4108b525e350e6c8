import pytest

from stsyn_mpi.errors import InputError
from stsyn_mpi.study.entries import canonical_scheme, split_entries


@pytest.mark.parametrize(
    ("texts", "entries"),
    [
        (["stsyn,local-sgd"], ["stsyn", "local-sgd"]),
        (
            ["stsyn:K=1,stsyn:K=5,U=5,local-sgd"],
            ["stsyn:K=1", "stsyn:K=5,U=5", "local-sgd"],
        ),
        (["stsyn,K=1,U=2,flanp:first=4"], ["stsyn:K=1,U=2", "flanp:first=4"]),
        ([" stsyn : K = 1 , U=2 "], ["stsyn:K=1,U=2"]),
        (["stsyn:K=1", "stsyn:K=5,U=5,async"], ["stsyn:K=1", "stsyn:K=5,U=5", "async"]),
        ([], []),
    ],
)
def test_a_part_with_a_value_belongs_to_the_scheme_before_it(texts, entries):
    assert split_entries(texts) == entries


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stsyn,,async", "an entry is empty"),
        ("", "an entry is empty"),
        ("K=5,stsyn", "'K=5' follows no scheme"),
        ("stsyn K=2", "a space in 'stsyn K=2'; parameters follow a colon"),
        ("async, stsyn K=2", "a space in 'stsyn K=2'"),
        ("stsyn, ", "an entry is empty"),
    ],
)
def test_a_list_that_is_none_is_refused(text, said):
    with pytest.raises(InputError, match=said):
        split_entries([text])


def test_an_item_of_a_list_does_not_continue_the_item_before_it():
    with pytest.raises(InputError, match="'U=5' follows no scheme"):
        split_entries(["stsyn:K=1", "U=5"])


@pytest.mark.parametrize(
    ("entry", "canonical"),
    [
        ("stsyn:K=5,U=3", "stsyn"),
        ("flanp:first=2", "flanp"),
        ("flanp:first=3,U=5", "flanp:first=3"),
        ("adacomm:interval=1m", "adacomm"),
        ("adacomm:interval=250ms", "adacomm:interval=0.25"),
    ],
)
def test_one_scheme_is_written_in_one_way(entry, canonical):
    assert canonical_scheme(entry) == canonical


def test_an_unknown_scheme_is_named_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'local-sgd'"):
        canonical_scheme("local-sdg")
