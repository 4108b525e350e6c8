"""The layout of a data file: names, types and limits (see docs/data.md)."""

from dataclasses import dataclass
from pathlib import Path

FORMAT = "stsyn_mpi-data"
LAYOUT_VERSION = 1

SPLITS = ("train", "test")
ARRAYS = ("train/images", "train/labels", "test/images", "test/labels")

TEXT_ATTRIBUTES = ("name", "licence", "source")
IMAGE_DTYPES = ("uint8", "float32")
FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}

# Bounds on what a file may declare, so that a hostile one is refused before
# anything is allocated for it. Deflate cannot expand by more than 1032.
MAX_CLASSES = 65536
MAX_CHANNELS = 4096
MAX_TEXT_BYTES = 65536
MAX_IMAGE_BYTES = 1 << 26
MAX_CHUNK_BYTES = 1 << 26
MAX_EXPANSION = 1032

BLOCK_BYTES = 1 << 22


@dataclass(frozen=True)
class Header:
    """What a data file says of itself, checked.

    Attributes
    ----------
    name, licence, source
        Short name, licence note and origin of the data.
    class_names
        One name per class; label ``k`` means ``class_names[k]``.
    mean, std
        Per channel, in units of the stored values; an image is normalised as
        ``(stored - mean) / std``.
    """

    name: str
    licence: str
    source: str
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def rows_per_block(row_bytes: int) -> int:
    """Rows that fit a block of ``BLOCK_BYTES``, at least one."""
    return max(1, BLOCK_BYTES // max(1, row_bytes))


def is_file(path: Path) -> bool:
    """Tell whether ``path`` is a file; what no file can be called is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def shape_text(shape: tuple[int, ...]) -> str:
    """Write a shape as ``28x28x1``."""
    return "x".join(str(n) for n in shape)
