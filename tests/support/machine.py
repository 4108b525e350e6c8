"""What this machine has."""

import re
from pathlib import Path


def available_gib():
    memory = Path("/proc/meminfo").read_text()
    (kib,) = re.findall(r"^MemAvailable:\s+(\d+) kB$", memory, re.MULTILINE)
    return int(kib) / 2**20
