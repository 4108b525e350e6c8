"""Streams and events."""

import itertools

from cupy import _context, stand_in
from cupy._work import Queue

_numbers = itertools.count(1)


class Event:
    """A moment in the work of a stream; at no moment, before it is recorded."""

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self._device = _context.current_device()
        self._moment = None

    @property
    def done(self):
        """False when first asked about unfinished work, which is then done."""
        stand_in.record("ask event", device=self._device)
        if self._moment is None:
            return True
        queue, position = self._moment
        if queue.is_done(position):
            return True
        queue.try_to_run(position)
        return False

    def record(self, stream=None):
        (stream or _context.current_stream()).record(self)

    def synchronize(self):
        stand_in.record("synchronise event", device=self._device)
        if self._moment is not None:
            queue, position = self._moment
            queue.run(position)


class Stream:
    """A queue of work on the device that was current at its making."""

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        if null or ptds:
            raise NotImplementedError("the stand-in has no default streams")
        self.device_id = _context.current_device()
        self.ptr = next(_numbers)
        self.is_non_blocking = non_blocking
        self._queue = Queue()

    def __eq__(self, other):
        return isinstance(other, Stream) and self.ptr == other.ptr

    def __hash__(self):
        return self.ptr

    def __repr__(self):
        return f"<Stream {self.ptr} (device {self.device_id})>"

    def __enter__(self):
        self._check_device()
        _context.push_stream(self.device_id, self)
        self._say("use stream")
        return self

    def __exit__(self, *exception):
        _context.pop_stream(self.device_id)

    def use(self):
        self._check_device()
        _context.set_stream(self.device_id, self)
        self._say("use stream")
        return self

    @property
    def done(self):
        return self._queue.is_done(self._queue.position)

    def record(self, event=None):
        event = event or Event()
        if event._device != self.device_id:
            raise RuntimeError("an event is recorded on a stream of another device")
        event._moment = self._queue, self._queue.position
        self._say("record event")
        return event

    def wait_event(self, event):
        self._say("wait event")
        if event._moment is not None:
            queue, position = event._moment
            self._queue.put(lambda: queue.run(position))

    def synchronize(self):
        self._say("synchronise stream")
        self._run()

    def _launch(self, what, name, work):
        self._check_device()
        self._say(what, name)
        self._queue.put(work)

    def _run(self):
        self._queue.run(self._queue.position)

    def _say(self, what, name=""):
        stand_in.record(what, name, self.ptr, self.device_id)

    def _check_device(self):
        current = _context.current_device()
        if self.device_id != current:
            raise RuntimeError(
                f"The device that the stream is created on ({self.device_id}) does "
                f"not match with the current device ({current})"
            )


def get_current_stream(device_id=-1):
    return _context.current_stream()
