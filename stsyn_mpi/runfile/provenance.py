"""What the writing process knows about itself, for the run file's attributes."""

from __future__ import annotations

import json
import platform
import sys
from datetime import UTC, datetime

import h5py
import numpy as np

from stsyn_mpi._version import __version__
from stsyn_mpi.runfile.liveness import WriterIdentity

AttributeValue = str | int | float | np.ndarray


def local_provenance() -> dict[str, AttributeValue]:
    """Return the attributes that every run file carries about its writer."""
    writer = WriterIdentity.of_this_process()
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "writer_host": writer.host,
        "writer_pid": writer.pid,
        "writer_start": writer.start,
        "package_version": __version__,
        "library_versions": json.dumps(library_versions()),
        "command_line": json.dumps(sys.argv),
        "platform": platform.platform(),
    }


def library_versions() -> dict[str, str]:
    """Return the versions of Python, NumPy, h5py and HDF5."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "h5py": h5py.__version__,
        "hdf5": h5py.version.hdf5_version,
    }


def attribute_value(value: object) -> AttributeValue:
    """Turn a value into what an HDF5 attribute holds plainly.

    Text and numbers stay, sequences of numbers become arrays, all else (lists of
    hosts, nested maps) becomes JSON text, which every HDF5 tool can show.

    Parameters
    ----------
    value : object
        Text, number, array, or anything that ``json.dumps`` accepts.

    Returns
    -------
    str, int, float or numpy.ndarray
        The value to store.
    """
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, np.generic):
        return attribute_value(value.item())
    if isinstance(value, np.ndarray) and value.dtype.kind in "iuf":
        return value
    if isinstance(value, list | tuple) and value and _all_numbers(value):
        return np.asarray(value)
    return json.dumps(value)


def _all_numbers(values: list[object] | tuple[object, ...]) -> bool:
    return all(type(value) in (int, float) for value in values)
