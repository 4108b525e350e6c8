"""Durations wait for the row of their answer, at a cost that nobody notices."""

from types import SimpleNamespace

from stsyn_mpi.runfile.durations import DurationsBook

N_WORKERS = 500


class CountingList(list):
    """Counts how often somebody looks at an element."""

    n_looks = 0

    def __getitem__(self, index):
        self.n_looks += 1
        return super().__getitem__(index)


class Rows:
    """The durations noted in each row."""

    def __init__(self):
        self.noted = []

    def note_durations(self, worker, seconds):
        self.noted.append((worker, seconds))


def busy_worker():
    return SimpleNamespace(is_working=True, is_late=False, base_round=3)


def test_held_durations_come_with_their_answer_whoever_else_is_held():
    workers = CountingList(busy_worker() for _ in range(N_WORKERS))
    coordinator = SimpleNamespace(workers=workers, is_ahead=lambda worker: True)
    rows = Rows()
    book = DurationsBook(coordinator, rows)
    for worker in reversed(range(N_WORKERS)):
        book.note(worker, 3, (float(worker),))
    assert rows.noted == []

    workers.n_looks = 0
    for n_taken in (1, 0, 3):
        first = len(rows.noted)
        for i in range(n_taken):
            workers[N_WORKERS - 1 - first - i].is_working = False
        book.release()
        assert len(rows.noted) == first + n_taken
    assert rows.noted == [(w, (float(w),)) for w in (499, 498, 497, 496)]
    assert workers.n_looks < 20
