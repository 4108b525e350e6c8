"""How far the chunks of an array expand, found out before HDF5 expands them.

HDF5 inflates a chunk to its end, however far beyond its declared size that is: a
megabyte of a hostile file would become a gigabyte of memory.
"""

import math
import zlib

import h5py

from stsyn_mpi.datasets.layout import FILTERS
from stsyn_mpi.errors import InputError

_CODES = {name: code for code, name in FILTERS.items()}
_GZIP, _LZF, _FLETCHER32 = (_CODES[name] for name in ("gzip", "lzf", "fletcher32"))
# What a filter may add to data that it cannot pack.
_SLACK_BYTES = 1 << 16


class ChunkGuard:
    """Checks the chunks of an array, each of them once.

    Parameters
    ----------
    where : str
        File and array, for messages.
    dataset : h5py.Dataset
        Chunked.

    Raises
    ------
    InputError
        If a filter of the array is not built in, or the filters stand in an order in
        which no library stores arrays.
    """

    def __init__(self, where: str, dataset: h5py.Dataset) -> None:
        self._where, self._dataset = where, dataset
        self._chunk_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize
        codes = _filter_codes(where, dataset)
        self._gzip_mask = 1 << codes.index(_GZIP) if _GZIP in codes else 0
        self._sound: set[tuple[int, ...]] = set()

    def check(self, start: int, stop: int) -> None:
        """Check the chunks that hold any of the rows ``start`` to ``stop - 1``.

        Raises
        ------
        InputError
            If a chunk would expand beyond its size.
        """
        if not self._gzip_mask:
            return
        shape = self._dataset.shape
        rows = slice(start, min(stop, shape[0]))
        wanted = (rows, *(slice(0, n) for n in shape[1:]))
        for part in self._dataset.iter_chunks(wanted):
            place = tuple(
                cut.start // n * n
                for cut, n in zip(part, self._dataset.chunks, strict=True)
            )
            if place not in self._sound:
                self._check_chunk(place)
                self._sound.add(place)

    def _check_chunk(self, place: tuple[int, ...]) -> None:
        info = self._dataset.id.get_chunk_info_by_coord(place)
        if not info.size:
            return
        if info.size > self._chunk_bytes + _SLACK_BYTES:
            raise self._too_large(place)
        mask, content = self._dataset.id.read_direct_chunk(place)
        if mask & self._gzip_mask:
            return
        try:
            # Beside the data there may be a checksum.
            most = self._chunk_bytes + 4
            expanded = zlib.decompressobj().decompress(content, most + 1)
        except zlib.error:
            return  # HDF5 says so in its own words.
        if len(expanded) > most:
            raise self._too_large(place)

    def _too_large(self, place: tuple[int, ...]) -> InputError:
        return InputError(
            f"{self._where}: the chunk at {place} holds more than the "
            f"{self._chunk_bytes} bytes of a chunk; the file is damaged"
        )


def _filter_codes(where: str, dataset: h5py.Dataset) -> list[int]:
    properties = dataset.id.get_create_plist()
    n_filters = properties.get_nfilters()
    codes = [int(properties.get_filter(number)[0]) for number in range(n_filters)]
    for code in codes:
        if code not in FILTERS:
            raise InputError(
                f"{where}: uses HDF5 filter {code}; allowed are "
                f"{', '.join(FILTERS.values())}"
            )
    packing = [code for code in codes if code in (_GZIP, _LZF)]
    after = codes[codes.index(packing[0]) + 1 :] if packing else []
    if len(packing) > 1 or set(after) - {_FLETCHER32}:
        names = ", ".join(FILTERS[code] for code in codes)
        raise InputError(
            f"{where}: uses the filters {names}; allowed is one that packs, followed "
            "by fletcher32 at most"
        )
    return codes
