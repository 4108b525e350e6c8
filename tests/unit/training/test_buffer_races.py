"""Exhaustive search: the parameter buffers and the halt are free of races.

Two threads act on a real `ParameterBuffers`. The search runs through every order
of their steps, over three models with up to two updates each. A step of the main
thread starts or completes a receive or a send, begins, halts, or forms a change; a
step of the compute thread clears a sum, starts to write, commits, or acknowledges.
"""

import itertools
from dataclasses import dataclass, replace

import pytest

from stsyn_mpi.protocol.plan import Payload
from stsyn_mpi.training.buffers import Lease, ParameterBuffers

N_MODELS = 3
N_UPDATES = 2
TORN = (-1, -1)
PARAMETERS, DELTA, SUM = Payload.PARAMETERS, Payload.DELTA, Payload.GRADIENT_SUM


class Race(AssertionError):
    pass


@dataclass(frozen=True)
class State:
    """What both threads and the vectors hold.

    Contents are (model, updates), with a third item where they are no parameters:
    a sum of steps at the model, or the change of parameters since the model.
    """

    contents: tuple
    payloads: tuple
    n_received: int = 0
    receiving: int | None = None
    has_inbox: bool = False
    lease: Lease | None = None
    is_cleared: bool = False
    writing: bool = False
    reading: tuple = ()
    committed: int = 0
    is_computing: bool = False
    is_halted: bool = True
    # (slot, minuend, number of updates) of a change that the main thread is forming
    forming: tuple | None = None
    # (slot, content at the halt) of uploads being sent
    sending: tuple = ()

    @property
    def payload(self):
        """Payload of the model received last."""
        return self.payloads[self.n_received - 1]

    def fill(self, slot, content):
        contents = list(self.contents)
        contents[slot] = content
        return replace(self, contents=tuple(contents))


PRIVATE = (
    "_generation",
    "_begun_generation",
    "_is_computing",
    "_payload",
    "_base",
    "_current",
    "_scratch",
    "_reserve",
    "_inbox",
    "_n_updates",
)


def save(buffers):
    values = tuple(getattr(buffers, name) for name in PRIVATE)
    # Generations only ever grow: what counts is whether they are equal.
    return (values[0] == values[1], *values[2:], frozenset(buffers._sending)), values


def load(kind, values, sending, n_slots):
    buffers = kind([None] * n_slots)
    for name, value in zip(PRIVATE, values, strict=True):
        setattr(buffers, name, value)
    buffers._sending = set(sending)
    return buffers


def require(condition, what):
    if not condition:
        raise Race(what)


def check_write(state, slot, who):
    """Nobody else sends, receives, reads or writes what ``who`` writes."""
    require(slot not in [s for s, _ in state.sending], f"{who} writes what is sent")
    if who == "compute":
        require(slot != state.receiving, "an update overwrites a model on its way")
        formed = state.forming[:2] if state.forming else ()
        require(slot not in formed, "an update overwrites a change being formed")
    else:
        lease = state.lease if state.is_computing else None
        used = {lease.current, lease.scratch, lease.base} if lease else set()
        if who == "form":
            # The model may be overwritten once no update reads it any more.
            used = {*state.reading, lease.scratch} if lease else set()
        require(slot not in used, f"{who} overwrites what the compute thread uses")


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
    lease = buffers.begin(state.payload)
    if lease is None:
        return None
    require(not state.is_computing, "a round begins before the cancel is acknowledged")
    model = (state.n_received - 1, 0)
    slot = lease.current if lease.base is None else lease.base
    require(state.contents[slot] == model, "work begins on another model")
    return replace(
        state,
        has_inbox=False,
        lease=lease,
        committed=0,
        is_computing=True,
        is_halted=False,
        is_cleared=lease.base is None,
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
    if snapshot.minuend is None:
        expected = (state.n_received - 1, state.committed)
        if state.payload is SUM:
            expected = (*expected, "sum")
        return send(state, snapshot.slot, expected)
    require(state.contents[snapshot.slot] == (state.n_received - 1, 0), "no model")
    check_write(state, snapshot.slot, "form")
    forming = (snapshot.slot, snapshot.minuend, state.committed)
    return replace(state.fill(snapshot.slot, TORN), forming=forming)


def send(state, slot, expected):
    content = state.contents[slot]
    require(content == expected, f"the upload holds {content}, not {expected}")
    return replace(state, sending=(*state.sending, (slot, content)))


def end_form(state, buffers):
    if not state.forming:
        return None
    slot, minuend, n_updates = state.forming
    reached = (state.n_received - 1, n_updates)
    require(state.contents[minuend] == reached, "a change of something else")
    check_write(state, slot, "form")
    change = (*reached, "change")
    return send(replace(state, forming=None).fill(slot, change), slot, change)


def end_send(state, buffers):
    if not state.sending:
        return None
    (slot, content), *rest = state.sending
    require(state.contents[slot] == content, "an upload changed while it was sent")
    buffers.end_send(slot)
    return replace(state, sending=tuple(rest))


# Steps of the compute thread


def clear(state, buffers):
    """The compute thread begins a sum of steps."""
    if not state.is_computing or state.is_cleared:
        return None
    check_write(state, state.lease.current, "compute")
    zero = (state.n_received - 1, 0, "sum")
    return replace(state.fill(state.lease.current, zero), is_cleared=True)


def start_update(state, buffers):
    if not state.is_computing or state.writing or state.committed == N_UPDATES:
        return None
    if not state.is_cleared:
        return None
    lease = state.lease
    reading = (lease.current,) if lease.base is None else (lease.current, lease.base)
    for slot in reading:
        require(state.contents[slot] is not TORN, "an update reads what is written")
    check_write(state, lease.scratch, "compute")
    return replace(state.fill(lease.scratch, TORN), writing=True, reading=reading)


def end_update(state, buffers):
    if not state.writing:
        return None
    lease = state.lease
    for slot in state.reading:
        require(state.contents[slot] is not TORN, "an update reads what is written")
    model, n_updates, *kind = state.contents[lease.current]
    check_write(state, lease.scratch, "compute")
    state = state.fill(lease.scratch, (model, n_updates + 1, *kind))
    lease = buffers.commit(lease)
    state = replace(state, writing=False, reading=())
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


MAIN_STEPS = (
    start_receive,
    end_receive,
    begin,
    drop_inbox,
    lambda state, buffers: halt(state, buffers, wants_upload=True),
    lambda state, buffers: halt(state, buffers, wants_upload=False),
    end_send,
)
COMPUTE_STEPS = (clear, start_update, end_update, acknowledge)


def steps(state):
    """A change is formed at once: the main thread does nothing else before."""
    return ((end_form,) if state.forming else MAIN_STEPS) + COMPUTE_STEPS


def explore(kind=ParameterBuffers, payloads=(PARAMETERS,) * N_MODELS):
    """Visit every reachable state; return their number and the final ones.

    ``payloads`` names the payload of each model.
    """
    n_slots = 3 if set(payloads) == {PARAMETERS} else 4
    blank = State(contents=(None,) * n_slots, payloads=payloads)
    start = (blank, save(kind([None] * n_slots)), frozenset())
    seen, todo, finals = set(), [start], []
    while todo:
        state, (key, values), sending = todo.pop()
        identity = (replace(state, lease=None), state.lease and key, key, slots(state))
        if identity in seen:
            continue
        seen.add(identity)
        is_final = True
        for step in steps(state):
            buffers = load(kind, values, sending, n_slots)
            following = step(state, buffers)
            if following is not None:
                is_final = False
                todo.append((following, save(buffers), frozenset(buffers._sending)))
        if is_final:
            finals.append((state, load(kind, values, sending, n_slots)))
    return len(seen), finals


def slots(state):
    return state.lease and (
        *(state.lease.current, state.lease.scratch),
        state.lease.base,
    )


@pytest.mark.parametrize(
    "payloads",
    [
        (PARAMETERS, PARAMETERS, PARAMETERS),
        (DELTA, DELTA, DELTA),
        (SUM, SUM, SUM),
        (DELTA, SUM, PARAMETERS),
        (SUM, PARAMETERS, DELTA),
    ],
    ids=lambda payloads: "-".join(p.name.lower() for p in payloads),
)
def test_no_order_of_steps_is_a_race(payloads):
    n_states, finals = explore(payloads=payloads)
    assert n_states > 1000
    # Nothing gets stuck: every path ends with all models worked on or dropped.
    assert finals
    for state, buffers in finals:
        assert state.n_received == N_MODELS
        assert state.is_halted
        assert not state.sending
        assert not state.is_computing
        assert len(buffers._free()) == len(buffers.vectors)


class CommitsAfterHalt(ParameterBuffers):
    """Forgets the generation: what HALT + upload + commit would then do."""

    def commit(self, lease):
        return super().commit(replace(lease, generation=self._generation))


class BeginsEarly(ParameterBuffers):
    """Does not wait for the acknowledgement of the cancel."""

    def begin(self, payload):
        self._base = self._current = self._scratch = self._reserve = None
        return super().begin(payload)


class ReceivesAnywhere(ParameterBuffers):
    """Takes the slot of an upload for free."""

    def _free(self):
        held = {self._base, self._current, self._scratch, self._reserve, self._inbox}
        return [slot for slot in range(len(self.vectors)) if slot not in held]


class ForgetsTheModel(ParameterBuffers):
    """Lets an update overwrite the model that changes are counted from."""

    def commit(self, lease):
        following = super().commit(lease)
        if following and self._payload is DELTA and self._n_updates == 1:
            self._scratch = lease.current
            following = replace(following, scratch=lease.current)
        return following


class FormsInTheModelOfSums(ParameterBuffers):
    """Forms a change in place although the model is still read."""

    def halt(self, *, wants_upload):
        base, current = self._base, self._current
        snapshot = super().halt(wants_upload=wants_upload)
        if snapshot.slot is None or self._payload is not SUM:
            return snapshot
        return replace(snapshot, slot=base, minuend=current)


class GivesUpTheModelEarly(ParameterBuffers):
    """Offers the model of a halted round to the next one."""

    def halt(self, *, wants_upload):
        snapshot = super().halt(wants_upload=wants_upload)
        self._base = None
        return snapshot


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        *itertools.product(
            (CommitsAfterHalt, BeginsEarly, ReceivesAnywhere),
            (PARAMETERS, DELTA, SUM),
        ),
        (ForgetsTheModel, DELTA),
        (FormsInTheModelOfSums, SUM),
        (GivesUpTheModelEarly, SUM),
    ],
)
def test_search_finds_the_races_that_each_rule_prevents(kind, payload):
    with pytest.raises(Race):
        explore(kind, (payload,) * N_MODELS)


@pytest.mark.parametrize("payload", [PARAMETERS, DELTA, SUM])
def test_the_next_round_begins_while_the_upload_is_leaving(payload):
    buffers = ParameterBuffers([None] * (3 if payload is PARAMETERS else 4))
    for _ in range(3):
        assert buffers.reserve_inbox() is not None
        lease = buffers.begin(payload)
        buffers.commit(lease)
        slot = buffers.halt(wants_upload=True).slot
        assert slot is not None
        # The next model arrives while an update is still running in vain.
        assert buffers.reserve_inbox() is not None
        buffers.release_inbox()
        buffers.acknowledge()
        assert buffers.reserve_inbox() is not None
        assert buffers.begin(payload) is not None
        buffers.halt(wants_upload=False)
        buffers.acknowledge()
        buffers.end_send(slot)
