"""Plans of disorder: a training and what befalls it, all drawn from one seed."""

import random
from dataclasses import dataclass, field
from math import inf

ALIVE_S = 0.1
RESUME_EVERY = 5
# Options of each scheme, its rounds, and the mean delay of an update (ms): quiet runs
# take 4 to 8 seconds.
SCHEMES = {
    "stsyn": ("stsyn:K=3,U=4", 110, 10),
    "local-sgd": ("local-sgd:U=3", 90, 10),
    "fedbuff": ("fedbuff:K=3,U=3", 160, 20),
    "k-async": ("k-async:K=2", 180, 40),
    "fednova": ("fednova:U=4", 70, 10),
    "k-fastest": ("k-fastest:K=3,U=4", 110, 10),
    "k-sync": ("k-sync:K=3", 140, 30),
    "k-batch-sync": ("k-batch-sync:K=6", 130, 30),
    "rennala": ("rennala:K=8", 110, 30),
    "k-batch-async": ("k-batch-async:K=4", 160, 40),
    "async": ("async", 400, 60),
    "sync-sgd": ("sync-sgd", 90, 20),
}


@dataclass(frozen=True)
class Fault:
    """What happens to whom, and when.

    Attributes
    ----------
    kind
        kill | stop | slow: SIGKILL; SIGSTOP and SIGCONT; many short stops.
    moment
        Share of the rounds that have been closed by then.
    ranks
        To whom; -1 is the launcher.
    seconds
        How long it is stopped or slow; infinite for good.
    """

    kind: str
    moment: float
    ranks: tuple[int, ...]
    seconds: float = 0.0


@dataclass(frozen=True)
class Plan:
    """A training and its faults; a start each after the first one is a resume."""

    seed: int
    scheme: str
    model: str
    n_workers: int
    min_workers: int
    starts: list[list[Fault]] = field(default_factory=list)

    @property
    def is_resumed(self):
        return len(self.starts) > 1

    @property
    def n_rounds(self):
        return SCHEMES[self.scheme][1]

    @property
    def n_killed(self):
        return sum(len(f.ranks) for f in self.starts[0] if f.kind == "kill")

    @property
    def leaves_enough(self):
        return self.is_resumed or self.n_workers - self.n_killed >= self.min_workers

    def options(self, path):
        """Return the options of `stsyn-mpi train`, but for the faults."""
        strategy, n_rounds, delay_ms = SCHEMES[self.scheme]
        return {
            "workers": self.n_workers,
            "strategy": strategy,
            "model": self.model,
            "rounds": n_rounds,
            "delay": f"exponential:mean={delay_ms}ms",
            "seed": self.seed,
            "min_workers": self.min_workers,
            "alive_interval": ALIVE_S,
            "checkpoint_every": 0.4,
            "eval_every": 10,
            "record_events": True,
            "out": str(path),
        }

    def __str__(self):
        lines = [
            f"seed {self.seed}: {self.scheme}, {self.model}, {self.n_workers} workers, "
            f"at least {self.min_workers}, {self.n_rounds} rounds"
        ]
        for number, faults in enumerate(self.starts):
            lines.append(f"  start {number}" + ("" if faults else ": undisturbed"))
            lines += [
                f"    at {f.moment:4.0%} {f.kind} of ranks {f.ranks}, {f.seconds:.2f} s"
                for f in sorted(faults, key=lambda f: f.moment)
            ]
        return "\n".join(lines)


def draw_plan(seed):
    """Return the plan of a seed; each fifth one is of killed and resumed jobs."""
    rng = random.Random(seed)
    n_workers = rng.randint(5, 7)
    plan = Plan(
        seed,
        rng.choice(list(SCHEMES)),
        rng.choice(["softmax", "mlp:hidden=16"]),
        n_workers,
        rng.randint(2, n_workers - 2),
    )
    if seed % RESUME_EVERY == RESUME_EVERY - 1:
        ends = [[_draw_end(rng, n_workers, n)] for n in range(rng.randint(1, 2))]
        plan.starts.extend([*ends, []])
    else:
        plan.starts.append(_draw_faults(rng, plan))
    return plan


def _draw_end(rng, n_workers, n_before):
    """Return the end of a whole job, or of its root or its launcher (rank -1) alone."""
    everybody = tuple(rng.sample(range(n_workers + 1), n_workers + 1))
    ranks = rng.choice([everybody, (0,), (-1,)])
    return Fault("kill", rng.uniform(0.4 * n_before, 0.4 * n_before + 0.4), ranks)


def _draw_faults(rng, plan):
    workers = [w + 1 for w in rng.sample(range(plan.n_workers), plan.n_workers)]
    n_killed = rng.randint(0, plan.n_workers - plan.min_workers)
    if rng.random() < 0.1:
        n_killed = plan.n_workers - plan.min_workers + 1
    doomed, rest = workers[:n_killed], workers[n_killed:]
    faults = [Fault("kill", _draw_moment(rng), (rank,)) for rank in doomed]
    if len(doomed) > 1 and rng.random() < 0.3:
        faults = [Fault("kill", _draw_moment(rng), tuple(doomed))]
    for _ in range(rng.randint(1, 4)):
        faults.append(_draw_pause(rng, rest))
    if rng.random() < 0.3:
        faults.append(Fault("stop", _draw_moment(rng), (0,), rng.uniform(0.05, 0.8)))
    if len(rest) > 1 and rng.random() < 0.3:
        # A worker that never comes back, also not at the end.
        faults.append(Fault("stop", _draw_moment(rng), (rest[0],), inf))
    return faults


def _draw_pause(rng, ranks):
    kind = rng.choice(["stop", "stop", "slow"])
    several = tuple(rng.sample(ranks, rng.randint(1, max(1, len(ranks) // 2))))
    return Fault(kind, _draw_moment(rng), several, rng.choice([0.05, 0.4, 1.5, 2.5]))


def _draw_moment(rng):
    """Return a moment in the run, one in four near its end."""
    return rng.uniform(0.95, 1.0) if rng.random() < 0.25 else rng.uniform(0.02, 0.95)
