"""Schedules for the fake network: chaos first, then a fair drain to the end."""

from dataclasses import dataclass, field

WEIGHTS = {
    "hear": 4.0,
    "get_model": 3.0,
    "update": 2.0,
    "arrive": 4.0,
    "payload": 3.0,
    "model_sent": 3.0,
    "control_sent": 3.0,
    "evaluated": 1.0,
}


@dataclass
class Chaos:
    """How wild a schedule is; rates are weights beside those of `WEIGHTS`."""

    deadline: float = 0.0
    breathe: float = 0.0
    silence: float = 0.0
    death: float = 0.0
    stop: float = 0.0
    slow: dict[int, float] = field(default_factory=dict)
    n_deaths: int = 0
    step_s: float = 0.001


def _faults(network, chaos):
    """Return what may go wrong now, with its weight."""
    found = []
    n_up = sum(worker.is_up for worker in network.workers)
    n_dead = sum(worker.is_dead for worker in network.workers)
    for w in network.workers:
        if w.is_up:
            found.append((("breathe", w.index), chaos.breathe))
            if n_up > 1:
                found.append((("silence", w.index), chaos.silence))
            if n_dead < chaos.n_deaths:
                found.append((("die", w.index), chaos.death))
        elif w.is_dead and not w.is_known_lost:
            found.append((("lose", w.index), 1.0))
        elif w.is_silent and not w.is_dead:
            found.append((("return", w.index), 0.5))
    if network.armed_t < float("inf"):
        found.append((("deadline", 0), chaos.deadline))
    found.append((("stop", 0), chaos.stop))
    return [(action, weight) for action, weight in found if weight > 0]


def choices(network, chaos):
    """Return (action, weight) of all that may happen now."""
    found = [
        (action, WEIGHTS[action[0]] * chaos.slow.get(action[1], 1.0))
        for action in network.actions()
    ]
    return found + _faults(network, chaos)


def run_chaos(network, rng, chaos, n_steps):
    """Let ``n_steps`` weighted random actions happen."""
    for _ in range(n_steps):
        if network.finish is not None:
            return
        found = choices(network, chaos)
        if not found:
            return
        actions, weights = zip(*found, strict=True)
        network.t += chaos.step_s * rng.expovariate(1.0)
        network.do(rng.choices(actions, weights)[0])


def drain(network, n_cycles=3000):
    """Be fair to everybody until the run ends; time jumps only when nothing moves.

    Raises
    ------
    AssertionError
        If it does not end: the state is stuck, or somebody waits for ever.
    """
    for worker in network.workers:
        if worker.is_dead and not worker.is_known_lost:
            network.do(("lose", worker.index))
    for _ in range(n_cycles):
        if network.finish is not None:
            return
        actions = network.actions()
        for action in actions:
            if action in network.actions():
                network.t += 1e-4
                network.do(action)
        if network.armed_t <= network.t:
            _look_then_pass(network)
        elif not actions and network.armed_t < float("inf"):
            network.t = network.armed_t
            _look_then_pass(network)
        elif not actions and network.finish is None:
            raise AssertionError("stuck: nothing can happen and no deadline is set")
    raise AssertionError(f"not finished after {n_cycles} fair cycles")


def _look_then_pass(network):
    """Whoever lives says so before a deadline passes, as under the real root."""
    for worker in network.workers:
        if worker.is_up and network.coordinator.terms.alive_interval_s is not None:
            network.do(("breathe", worker.index))
        while worker.said and not worker.is_known_lost and network.finish is None:
            network.do(("arrive", worker.index))
    if network.finish is None:
        network.do(("deadline", 0))


def settle(network):
    """Deliver all messages in a fixed order; only updates are left to happen."""
    while actions := [a for a in network.actions() if a[0] != "update"]:
        network.do(actions[0])


def work(network, *workers):
    """Let one worker after another complete an update, and everybody hear of it."""
    for worker in workers:
        network.do(("update", worker))
        settle(network)
