"""Devices."""

from cupy import _context, _machine, stand_in
from cupy.cuda import runtime


class Device:
    """A device, by default the current one; ``with`` makes it current for a block."""

    def __init__(self, device=None):
        self.id = _context.current_device() if device is None else int(device)

    def __int__(self):
        return self.id

    def __eq__(self, other):
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self):
        return hash(self.id)

    def __repr__(self):
        return f"<CUDA Device {self.id}>"

    def __enter__(self):
        _context.push_device(_machine.require_device(self.id))
        stand_in.record("use device", self.id, device=self.id)
        return self

    def __exit__(self, *exception):
        _context.pop_device()

    def use(self):
        _context.set_device(_machine.require_device(self.id))
        stand_in.record("use device", self.id, device=self.id)

    @property
    def mem_info(self):
        with self:
            return runtime.memGetInfo()

    @property
    def pci_bus_id(self):
        return runtime.deviceGetPCIBusId(self.id)

    @property
    def compute_capability(self):
        properties = runtime.getDeviceProperties(self.id)
        return f"{properties['major']}{properties['minor']}"
