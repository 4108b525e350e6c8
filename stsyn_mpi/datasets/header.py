"""Open a data file and check everything that it declares."""

import math
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np

from stsyn_mpi.datasets.layout import (
    ARRAYS,
    FORMAT,
    IMAGE_DTYPES,
    LAYOUT_VERSION,
    MAX_CHANNELS,
    MAX_CLASSES,
    MAX_IMAGE_BYTES,
    MAX_TEXT_BYTES,
    SPLITS,
    TEXT_ATTRIBUTES,
    Header,
    is_file,
    shape_text,
)
from stsyn_mpi.errors import InputError
from stsyn_mpi.memory_bound import bounded_memory
from stsyn_mpi.text_heaps import has_endless_heap


def open_data_file(path: Path) -> h5py.File:
    """Open ``path`` for reading.

    Raises
    ------
    InputError
        If it does not exist, cannot be read, or is no complete HDF5 file.
    """
    if not is_file(path):
        with suppress(OSError):
            if path.is_dir():
                raise InputError(f"data {str(path)!r} is a folder, not a data file")
        raise InputError(
            f"data {str(path)!r}: no such file; give 'digits' or the path of a file "
            "made by 'stsyn-mpi data'"
        )
    try:
        if has_endless_heap(path):
            raise OSError("a heap of texts has no end")
        # A data file is written once and moved into place: locks would only
        # fail on file systems that have none.
        return h5py.File(path, "r", locking=False)
    except PermissionError as error:
        raise InputError(f"{path}: may not be read (permission denied)") from error
    except OSError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: a complete HDF5 file is needed, this one is foreign, truncated "
            f"or damaged ({reason})"
        ) from error


def read_header(path: Path, file: h5py.File) -> Header:
    """Check format, version, links and attributes of the root group.

    Raises
    ------
    InputError
        Naming the first attribute or link that is not as docs/data.md says.
    """
    _check_format(path, file)
    for group in (file, *(_group(path, file, split) for split in SPLITS)):
        _refuse_links(path, group)
    texts = {key: _text(path, file, key) for key in TEXT_ATTRIBUTES}
    class_names = _texts(path, file, "class_names")
    mean, std = (_numbers(path, file, key) for key in ("mean", "std"))
    if not all(value > 0 for value in std):
        raise InputError(f"{path}: attribute std is {std}; all must be above 0")
    return Header(class_names=class_names, mean=mean, std=std, **texts)


def check_arrays(path: Path, file: h5py.File, header: Header) -> dict[str, str]:
    """Check types and shapes of the four arrays; return their checksums.

    Raises
    ------
    InputError
        Naming the array, what it is and what is allowed.
    """
    for split in SPLITS:
        images = _dataset(path, file, f"{split}/images")
        labels = _dataset(path, file, f"{split}/labels")
        _check_images(path, images, len(header.mean))
        if labels.dtype.kind not in "iu" or labels.shape != images.shape[:1]:
            raise InputError(
                f"{path}: {labels.name} is {labels.dtype} {labels.shape}; needed are "
                f"integers of shape {images.shape[:1]}, one per image"
            )
    train, test = (file[f"{split}/images"] for split in SPLITS)
    if train.shape[1:] != test.shape[1:]:
        raise InputError(
            f"{path}: test images are {shape_text(test.shape[1:])}, train images "
            f"{shape_text(train.shape[1:])}; they must be alike"
        )
    return {name: _checksum(path, file[name]) for name in ARRAYS}


def _check_format(path: Path, file: h5py.File) -> None:
    if "format" not in file.attrs or _text(path, file, "format") != FORMAT:
        raise InputError(
            f"{path}: is an HDF5 file, but not a data file of stsyn-mpi (attribute "
            f"format must be {FORMAT!r}); convert it with 'stsyn-mpi data'"
        )
    version = _array(path, file, "layout_version", (1,), "iu")
    if int(version[0]) not in range(1, LAYOUT_VERSION + 1):
        raise InputError(
            f"{path}: has layout version {version[0]}; this package reads "
            f"1 to {LAYOUT_VERSION}"
        )


def _group(path: Path, file: h5py.File, name: str) -> h5py.Group:
    _check_link(path, file, name)
    if not isinstance(file[name], h5py.Group):
        raise InputError(f"{path}: /{name} must be a group, it is a data set")
    return file[name]


def _dataset(path: Path, file: h5py.File, name: str) -> h5py.Dataset:
    group, _, leaf = name.partition("/")
    _check_link(path, file[group], leaf)
    if not isinstance(file[name], h5py.Dataset):
        raise InputError(f"{path}: /{name} must be a data set, it is a group")
    return file[name]


def _check_link(path: Path, group: h5py.Group, name: str) -> None:
    if not group.id.links.exists(name.encode()):
        where = f"{group.name.rstrip('/')}/{name}"
        raise InputError(f"{path}: {where} is missing; it is needed (docs/data.md)")


def _refuse_links(path: Path, group: h5py.Group) -> None:
    for name in group.id:
        if group.id.links.get_info(name).type != h5py.h5l.TYPE_HARD:
            text = name.decode(errors="replace")
            raise InputError(
                f"{path}: {group.name.rstrip('/')}/{text} is an external or soft link; "
                "only what lies in the file itself is read"
            )


def _check_images(path: Path, images: h5py.Dataset, n_channels: int) -> None:
    if images.dtype.newbyteorder("=").name not in IMAGE_DTYPES or images.ndim != 4:
        raise InputError(
            f"{path}: {images.name} is {images.dtype} with {images.ndim} axes; allowed "
            f"are {' or '.join(IMAGE_DTYPES)} with axes (image, row, column, channel)"
        )
    if 0 in images.shape or images.shape[3] != n_channels:
        raise InputError(
            f"{path}: {images.name} has shape {shape_text(images.shape)}; at least one "
            f"image is needed, and {n_channels} channels as in attribute mean"
        )
    if math.prod(images.shape[1:]) * images.dtype.itemsize > MAX_IMAGE_BYTES:
        raise InputError(
            f"{path}: {images.name} has images of {shape_text(images.shape[1:])}; "
            f"allowed are {MAX_IMAGE_BYTES} bytes an image"
        )


def _checksum(path: Path, dataset: h5py.Dataset) -> str:
    value = _text(path, dataset, "sha256")
    if len(value) != 64 or set(value) - set("0123456789abcdef"):
        raise InputError(
            f"{path}: sha256 of {dataset.name} is {value[:80]!r}; it must be 64 hex "
            "digits"
        )
    return value


def _text(path: Path, owner: h5py.Group | h5py.Dataset, key: str) -> str:
    return _texts(path, owner, key, (1,))[0]


def _texts(
    path: Path,
    owner: h5py.Group | h5py.Dataset,
    key: str,
    shape: tuple[int, ...] | None = None,
) -> tuple[str, ...]:
    values = _array(path, owner, key, shape, "OS")
    if any(not isinstance(value, str | bytes) for value in values):
        raise InputError(f"{path}: attribute {key} must be text")
    raw = [v.encode() if isinstance(v, str) else bytes(v) for v in values]
    return tuple(v.decode("utf-8", errors="replace") for v in raw)


def _numbers(path: Path, file: h5py.File, key: str) -> tuple[float, ...]:
    values = _array(path, file, key, None, "f")
    if not np.isfinite(values).all():
        raise InputError(f"{path}: attribute {key} is {values}; it must be finite")
    return tuple(float(value) for value in values)


def _array(
    path: Path,
    owner: h5py.Group | h5py.Dataset,
    key: str,
    shape: tuple[int, ...] | None,
    kinds: str,
) -> np.ndarray:
    """Read a small attribute as a 1-D array, its size checked before it is read."""
    where = f"{path}: attribute {key} of {owner.name}"
    if key not in owner.attrs:
        raise InputError(f"{where} is missing; it is needed (docs/data.md)")
    attribute = owner.attrs.get_id(key)
    found = attribute.shape or (1,)
    limit = MAX_CLASSES if key == "class_names" else MAX_CHANNELS
    if attribute.dtype.kind not in kinds or (
        attribute.dtype.kind == "O" and h5py.check_string_dtype(attribute.dtype) is None
    ):
        raise InputError(f"{where} has the wrong type {attribute.dtype}")
    if len(found) != 1 or not 1 <= found[0] <= limit or shape not in (None, found):
        raise InputError(f"{where} has the wrong shape {attribute.shape}")
    if attribute.get_storage_size() > MAX_TEXT_BYTES * 64:
        raise InputError(f"{where} is too large")
    _check_references(owner, attribute, where)
    with bounded_memory(owner.file.id.get_filesize()):
        return np.atleast_1d(owner.attrs[key])


def _check_references(
    owner: h5py.Group | h5py.Dataset, attribute: h5py.h5a.AttrID, where: str
) -> None:
    """Check that what refers to texts is as long as HDF5 takes it to be.

    It follows a shorter one to wherever the memory behind it leads.
    """
    text = h5py.check_string_dtype(attribute.dtype)
    if text is None or text.length is not None:
        return
    address_bytes, _ = owner.file.id.get_create_plist().get_sizes()
    if attribute.get_storage_size() != math.prod(attribute.shape) * (address_bytes + 8):
        raise InputError(f"{where} is no whole text")
