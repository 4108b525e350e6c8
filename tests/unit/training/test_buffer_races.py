"""Exhaustive search: the three buffers and the halt are free of races.

Two threads act on a real `ParameterBuffers`. The search runs through every order
of their steps, over three models with up to two updates each. A step of the main
thread starts or completes a receive or a send, begins, or halts; a step of the
compute thread starts to write, commits, or acknowledges.
"""

from dataclasses import dataclass, replace

import pytest

from stsyn_mpi.training.buffers import Lease, ParameterBuffers

N_MODELS = 3
N_UPDATES = 2
TORN = (-1, -1)


class Race(AssertionError):
    pass


@dataclass(frozen=True)
class State:
    """What both threads and the three vectors hold; contents are (model, updates)."""

    contents: tuple = (None, None, None)
    n_received: int = 0
    receiving: int | None = None
    has_inbox: bool = False
    lease: Lease | None = None
    writing: bool = False
    committed: int = 0
    is_computing: bool = False
    is_halted: bool = True
    stopped_itself: bool = False
    # (slot, content at the halt) of uploads being sent
    sending: tuple = ()

    def fill(self, slot, content):
        contents = list(self.contents)
        contents[slot] = content
        return replace(self, contents=tuple(contents))


PRIVATE = (
    "_generation",
    "_begun_generation",
    "_is_computing",
    "_current",
    "_scratch",
    "_inbox",
    "_n_updates",
)


def save(buffers):
    values = tuple(getattr(buffers, name) for name in PRIVATE)
    # Generations only ever grow: what counts is whether they are equal.
    return (values[0] == values[1], *values[2:], frozenset(buffers._sending)), values


def load(kind, values, sending):
    buffers = kind([None] * 3)
    for name, value in zip(PRIVATE, values, strict=True):
        setattr(buffers, name, value)
    buffers._sending = set(sending)
    return buffers


def require(condition, what):
    if not condition:
        raise Race(what)


def check_write(state, slot, who):
    require(slot not in [s for s, _ in state.sending], f"{who} writes what is sent")
    if who == "receive":
        lease = state.lease if state.is_computing else None
        used = {lease.current, lease.scratch} if lease else set()
        require(slot not in used, "receive overwrites what the compute thread uses")
    else:
        require(slot != state.receiving, "an update overwrites a model on its way")


# Steps of the main thread: each returns the next state, or None if not possible


def start_receive(state, buffers):
    if state.receiving is not None or state.has_inbox or state.n_received == N_MODELS:
        return None
    if not state.is_halted:
        return None  # the root sends the next model only after an answer
    slot = buffers.reserve_inbox()
    if slot is None:
        return None
    check_write(state, slot, "receive")
    return replace(state.fill(slot, TORN), receiving=slot)


def end_receive(state, buffers):
    if state.receiving is None:
        return None
    filled = state.fill(state.receiving, (state.n_received, 0))
    return replace(
        filled, receiving=None, has_inbox=True, n_received=state.n_received + 1
    )


def begin(state, buffers):
    if not state.has_inbox:
        return None
    lease = buffers.begin()
    if lease is None:
        return None
    require(not state.is_computing, "a round begins before the cancel is acknowledged")
    model = (state.n_received - 1, 0)
    require(state.contents[lease.current] == model, "work begins on another model")
    return replace(
        state,
        has_inbox=False,
        lease=lease,
        committed=0,
        is_computing=True,
        is_halted=False,
        stopped_itself=False,
    )


def drop_inbox(state, buffers):
    """A halt has overtaken the model: it is received, and given back."""
    if not state.has_inbox:
        return None
    buffers.release_inbox()
    return replace(state, has_inbox=False)


def halt(state, buffers, wants_upload):
    if state.is_halted:
        return None
    snapshot = buffers.halt(wants_upload=wants_upload)
    require(
        snapshot.n_updates == state.committed, "a halt counts what is not committed"
    )
    state = replace(state, is_halted=True)
    if snapshot.slot is None:
        require(
            not (wants_upload and state.committed), "completed work is not uploaded"
        )
        return state
    content = state.contents[snapshot.slot]
    expected = (state.n_received - 1, state.committed)
    require(content == expected, f"the upload holds {content}, not {expected}")
    return replace(state, sending=(*state.sending, (snapshot.slot, content)))


def end_send(state, buffers):
    if not state.sending:
        return None
    (slot, content), *rest = state.sending
    require(state.contents[slot] == content, "an upload changed while it was sent")
    buffers.end_send(slot)
    return replace(state, sending=tuple(rest))


# Steps of the compute thread


def start_update(state, buffers):
    if not state.is_computing or state.writing or state.committed == N_UPDATES:
        return None
    read = state.contents[state.lease.current]
    require(read is not TORN, "an update reads what is being written")
    check_write(state, state.lease.scratch, "update")
    return replace(state.fill(state.lease.scratch, TORN), writing=True)


def end_update(state, buffers):
    if not state.writing:
        return None
    model, n_updates = state.contents[state.lease.current]
    check_write(state, state.lease.scratch, "update")
    state = replace(state.fill(state.lease.scratch, (model, n_updates + 1)))
    lease = buffers.commit(state.lease)
    state = replace(state, writing=False)
    if lease is None:
        require(state.is_halted, "a commit is refused without a halt")
        return acknowledge_now(state, buffers)
    require(not state.is_halted, "a commit after the halt is accepted")
    return replace(state, lease=lease, committed=state.committed + 1)


def acknowledge(state, buffers):
    """The cancel is noticed between updates, or the target is reached."""
    may = state.is_halted or state.committed == N_UPDATES
    if not state.is_computing or state.writing or not may:
        return None
    return acknowledge_now(state, buffers)


def acknowledge_now(state, buffers):
    buffers.acknowledge()
    return replace(state, is_computing=False)


STEPS = (
    start_receive,
    end_receive,
    begin,
    drop_inbox,
    lambda state, buffers: halt(state, buffers, wants_upload=True),
    lambda state, buffers: halt(state, buffers, wants_upload=False),
    end_send,
    start_update,
    end_update,
    acknowledge,
)


def explore(kind=ParameterBuffers):
    """Visit every reachable state; return (number of states, final states)."""
    start = (State(), save(kind([None] * 3)), frozenset())
    seen, todo, finals = set(), [start], []
    while todo:
        state, (key, values), sending = todo.pop()
        identity = (replace(state, lease=None), state.lease and key, key, slots(state))
        if identity in seen:
            continue
        seen.add(identity)
        is_final = True
        for step in STEPS:
            buffers = load(kind, values, sending)
            following = step(state, buffers)
            if following is not None:
                is_final = False
                todo.append((following, save(buffers), frozenset(buffers._sending)))
        if is_final:
            finals.append(state)
    return len(seen), finals


def slots(state):
    return state.lease and (state.lease.current, state.lease.scratch)


def test_no_order_of_steps_is_a_race():
    n_states, finals = explore()
    assert n_states > 1000
    # Nothing gets stuck: every path ends with all models worked on or dropped.
    assert finals
    for state in finals:
        assert state.n_received == N_MODELS
        assert state.is_halted
        assert not state.sending
        assert not state.is_computing


class CommitsAfterHalt(ParameterBuffers):
    """Forgets the generation: what HALT + upload + commit would then do."""

    def commit(self, lease):
        return super().commit(replace(lease, generation=self._generation))


class BeginsEarly(ParameterBuffers):
    """Does not wait for the acknowledgement of the cancel."""

    def begin(self):
        self._current = self._scratch = None
        return super().begin()


class ReceivesAnywhere(ParameterBuffers):
    """Takes the slot of an upload for free."""

    def _free(self):
        taken = {self._current, self._scratch, self._inbox}
        return [slot for slot in range(3) if slot not in taken]


@pytest.mark.parametrize("kind", [CommitsAfterHalt, BeginsEarly, ReceivesAnywhere])
def test_search_finds_the_races_that_each_rule_prevents(kind):
    with pytest.raises(Race):
        explore(kind)
