"""Virtual runs without files: a recorder in memory and a machine to check."""

import numpy as np

from stsyn_mpi.protocol.coordinator import Coordinator, RunTerms
from stsyn_mpi.protocol.validation import validate
from stsyn_mpi.schemes import build_strategy, parse_scheme
from stsyn_mpi.simulation.delays import parse_delay
from stsyn_mpi.simulation.network import parse_network
from stsyn_mpi.simulation.parts import VirtualParts
from stsyn_mpi.simulation.simulator import Simulator
from stsyn_mpi.simulation.training import NoTraining
from stsyn_mpi.simulation.workers import VirtualWorkers
from stsyn_mpi.strategies import SchemeTerms


class MemoryRecorder:
    """Keeps everything it is given."""

    def __init__(self):
        self.events, self.records, self.timings, self.rows = [], [], [], []
        self.durations = {}
        self.evaluations = {}
        self.commits = 0

    def note_event(self, event):
        self.events.append(event)

    def note_durations(self, worker, seconds):
        self.durations[len(self.records), worker] = tuple(seconds)

    def note_update_rows(self, rows):
        self.rows.append(np.array(rows))

    def close_round(self, record, timings):
        self.records.append(record)
        self.timings.append(timings)

    def fill_evaluation(self, round_index, loss, accuracy, eval_s):
        assert round_index < len(self.records), "evaluated before its round is closed"
        self.evaluations[round_index] = (loss, accuracy)

    def flush_events(self):
        pass

    def commit(self):
        self.commits += 1

    @property
    def wall_s(self):
        return np.array([timings.complete_t for timings in self.timings])

    @property
    def round_s(self):
        return np.diff(self.wall_s, prepend=0.0)

    def column(self, name):
        return np.array([getattr(record, name) for record in self.records])

    @property
    def updates(self):
        """Rows (round, worker, start, injected, work, completed) of all updates."""
        return np.concatenate(self.rows)

    def kinds(self):
        return [type(event) for event in self.events]


class ValidatedCoordinator(Coordinator):
    """Checks the invariants after every event, and that time does not run back."""

    latest_t = 0.0

    def handle(self, event):
        assert event.t >= self.latest_t, f"{event} after {self.latest_t}"
        self.latest_t = event.t
        commands = super().handle(event)
        validate(self)
        return commands


def make_simulator(
    strategy="stsyn",
    *,
    n_workers=20,
    wait_for=5,
    target_updates=10,
    n_rounds=10,
    delay="exponential:mean=1",
    seed=0,
    network="free",
    weights="auto",
    model_bytes=4000,
    law=None,
    records_updates=False,
    validated=False,
    **terms,
):
    """Return a simulator and its recorder; a strategy decides on K and U in force."""
    scheme = parse_scheme(strategy)
    k, u = scheme.sizes(wait_for, target_updates, n_workers)
    sizes = SchemeTerms(n_workers, k, u, seed, (100,) * n_workers)
    kind = ValidatedCoordinator if validated else Coordinator
    terms = {"eval_every": 0, **terms}
    coordinator = kind(
        build_strategy(strategy, weights, sizes),
        RunTerms(n_workers=n_workers, n_rounds=n_rounds, **terms),
    )
    parts = parts_of(
        law or parse_delay(delay, seed, n_workers),
        n_workers,
        target_updates=u,
        network=parse_network(network),
        model_bytes=model_bytes,
        records_updates=records_updates,
    )
    return Simulator(coordinator, parts), parts.recorder


def parts_of(law, n_workers, *, target_updates=1, **parts):
    """Return the parts of a simulator that records in memory and trains nothing."""
    common = {
        "network": parse_network("free"),
        "model_bytes": 4,
        "training": NoTraining(),
        "recorder": MemoryRecorder(),
        "records_updates": False,
        "records_events": True,
        "report": lambda news: None,
    }
    workers = VirtualWorkers(law, n_workers, target_updates)
    return VirtualParts(workers=workers, **{**common, **parts})


def run_virtually(strategy="stsyn", **options):
    """Run to the end; return the recorder and how the run finished."""
    simulator, recorder = make_simulator(strategy, **options)
    finish = simulator.run()
    return recorder, finish
