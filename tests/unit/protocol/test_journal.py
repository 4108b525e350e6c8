import json
from dataclasses import fields
from math import isnan, nan

import pytest

from stsyn_mpi.protocol import events as ev
from stsyn_mpi.protocol.journal import from_line, to_line

EVENTS = [
    ev.RunStarted(0.0),
    ev.ProgressReported(0.1, 3, 7, 10),
    ev.UploadAnnounced(0.2, 1, 7, 9, 1, True, False, 12.25, 0.1),
    ev.UploadReceived(1e-9, 1, 7, False),
    ev.ModelDelivered(1 / 3, 2),
    ev.ControlDelivered(0.5, 2),
    ev.AliveReported(0.6, 0),
    ev.WorkerLost(0.7, 4),
    ev.DeadlinePassed(1e6),
    ev.EvaluationFinished(2.0, 6, 0.875),
    ev.StepMeasured(2.5, 6, 0.125),
    ev.StopRequested(3.0, 'signal 15 to rank 2: "Ende", \u00fc, \n'),
]


def test_every_kind_of_event_is_tried():
    assert {type(event) for event in EVENTS} == set(ev.Event.__args__)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_a_line_gives_the_event_back(event):
    line = to_line(event)
    assert "\n" not in line
    again = from_line(line)
    assert again == event
    assert [type(getattr(again, f.name)) for f in fields(again)] == [
        type(getattr(event, f.name)) for f in fields(event)
    ]


def test_a_target_never_reached_survives():
    event = ev.UploadAnnounced(0.2, 1, 7, 0, 1, False, True, 0.0, nan)
    assert isnan(from_line(to_line(event)).target_s)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "3",
        "[]",
        "null",
        "{}",
        '{"event": null}',
        '{"event": []}',
        '{"event": "Event", "t": 0.0}',
        '{"event": "RunStarted"}',
        '{"event": "RunStarted", "t": 0.0, "worker": 1}',
        '{"event": "WorkerLost", "t": 0.0}',
    ],
)
def test_what_is_no_event_is_refused(line):
    with pytest.raises(ValueError):
        from_line(line)


def test_the_line_is_plain_json():
    assert json.loads(to_line(EVENTS[1])) == {
        "event": "ProgressReported",
        "t": 0.1,
        "worker": 3,
        "round": 7,
        "n_updates": 10,
    }
