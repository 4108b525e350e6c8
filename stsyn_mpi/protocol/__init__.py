"""The rules of a round: events in, commands out; no clock, no I/O, no arrays."""
