"""The current device and stream of each thread, which it has to choose itself.

On a real machine a thread that has not chosen uses device 0 and its legacy stream,
which is ordered with nothing that it should be ordered with: here it is an error.
"""

import threading

from cupy import _machine


class _Chosen(threading.local):
    def __init__(self):
        self.device = None
        self.streams = {}
        self.before = []
        self.stacks = {}


_chosen = _Chosen()


class NotChosenError(RuntimeError):
    """A thread works on a device or stream that it has not chosen."""


def current_device():
    _machine.require_device()
    if _chosen.device is None:
        raise NotChosenError(f"{_thread()} has not called Device(i).use()")
    return _chosen.device


def set_device(device):
    _chosen.device = device


def push_device(device):
    _chosen.before.append(_chosen.device)
    _chosen.device = device


def pop_device():
    _chosen.device = _chosen.before.pop()


def find_stream():
    """Return the current stream, or None where this thread has chosen none."""
    return _chosen.streams.get(current_device())


def current_stream():
    stream = find_stream()
    if stream is None:
        raise NotChosenError(
            f"{_thread()} has not called Stream.use() on device {current_device()}"
        )
    return stream


def set_stream(device, stream):
    _chosen.streams[device] = stream


# As in CuPy: leaving a ``with`` restores what the ``with`` around it had set, at last
# the null stream, whatever ``use`` had set in between.
def push_stream(device, stream):
    _chosen.stacks.setdefault(device, [None]).append(stream)
    _chosen.streams[device] = stream


def pop_stream(device):
    _chosen.stacks[device].pop()
    _chosen.streams[device] = _chosen.stacks[device][-1]


def _thread():
    return f"thread {threading.current_thread().name!r}"
