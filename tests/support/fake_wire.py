"""Two ranks and the messages between them, delivered when a test says so.

MPI reads what is sent, and writes what is received, at any moment until the request
is complete: here that is the last one.
"""

from collections import deque

import numpy as np
from device_double import memory_of


class FakeRequest:
    def __init__(self, buffer):
        self.memory = memory_of(buffer)
        self.is_done = False

    def Test(self):
        return self.is_done


class FakeWire:
    """All messages of one tag; those of a direction are matched in posted order."""

    def __init__(self):
        self._sends = {0: deque(), 1: deque()}
        self._receives = {0: deque(), 1: deque()}

    def comm(self, rank, calls=None):
        return FakeComm(self, rank, [] if calls is None else calls)

    def post_send(self, rank, buffer):
        self._sends[rank].append(FakeRequest(buffer))
        return self._sends[rank][-1]

    def post_receive(self, rank, buffer):
        request = FakeRequest(buffer)
        request.memory[...] = np.nan
        self._receives[1 - rank].append(request)
        return request

    def deliver(self, sender):
        """Complete the oldest message from ``sender``, if both ends are there."""
        sends, receives = self._sends[sender], self._receives[sender]
        if sends and receives:
            send, receive = sends.popleft(), receives.popleft()
            assert send.memory.shape == receive.memory.shape
            receive.memory[...] = send.memory
            send.is_done = receive.is_done = True


class FakeComm:
    """Posts to a wire; ``calls`` names what is handed over, in order."""

    def __init__(self, wire, rank, calls):
        self._wire, self._rank, self._calls = wire, rank, calls

    def Isend(self, buffer, dest, tag):
        self._calls.append("Isend")
        return self._wire.post_send(self._rank, buffer)

    def Irecv(self, buffer, source, tag):
        self._calls.append("Irecv")
        return self._wire.post_receive(self._rank, buffer)
