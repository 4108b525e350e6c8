"""The stand-in for CuPy, imported anew."""

import importlib
import sys
from contextlib import contextmanager
from pathlib import Path

STAND_IN = Path(__file__).with_name("stand_in")


@contextmanager
def fresh_cupy():
    """Import the stand-in as ``cupy`` for a block, and forget it after.

    What is imported within the block finds it too; streams, memory and recorded calls
    begin anew.
    """
    before = _forget()
    sys.path.insert(0, str(STAND_IN))
    importlib.invalidate_caches()
    try:
        yield importlib.import_module("cupy")
    finally:
        sys.path.remove(str(STAND_IN))
        _forget()
        sys.modules.update(before)


def _forget():
    names = [n for n in sys.modules if n.split(".")[0] in ("cupy", "cupyx")]
    return {name: sys.modules.pop(name) for name in names}
