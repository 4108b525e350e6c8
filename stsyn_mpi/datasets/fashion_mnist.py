"""Fashion-MNIST from its idx files."""

import os
from pathlib import Path

from stsyn_mpi.datasets.idx import IdxFile, open_idx, paired_blocks
from stsyn_mpi.datasets.source import Source, Split
from stsyn_mpi.errors import InputError

_CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_FILES = {"train": "train", "test": "t10k"}


def fashion_mnist(folder: Path | None = None) -> Source:
    """Find the four idx files (plain or ``.gz``) and check their headers.

    Parameters
    ----------
    folder : Path, optional
        Where they are; by default ``datasets/fashion-mnist`` in the system's share
        folders (XDG_DATA_DIRS), where the Debian package dataset-fashion-mnist
        puts them.

    Raises
    ------
    InputError
        If a file is missing, or is not what its name says.
    """
    folder = folder or _system_folder()
    splits = {name: _split(folder, stem) for name, stem in _FILES.items()}
    shapes = {name: images.shape[1:] for name, (images, _) in splits.items()}
    if shapes["train"] != shapes["test"]:
        raise InputError(
            f"{folder}: train images are {shapes['train']}, test images "
            f"{shapes['test']}; they must be alike"
        )
    height, width = shapes["train"]
    return Source(
        name="fashion-mnist",
        licence="MIT (c) 2017 Zalando SE",
        source="Fashion-MNIST: Xiao, Rasul, Vollgraf, arXiv 1708.07747",
        origin=str(folder),
        class_names=_CLASS_NAMES,
        image_shape=(height, width, 1),
        image_dtype="uint8",
        train=_as_split(*splits["train"]),
        test=_as_split(*splits["test"]),
    )


def _as_split(images: IdxFile, labels: IdxFile) -> Split:
    return Split(images.shape[0], lambda: paired_blocks(images, labels))


def _split(folder: Path, stem: str) -> tuple[IdxFile, IdxFile]:
    images = open_idx(_find(folder, f"{stem}-images-idx3-ubyte"), n_axes=3)
    labels = open_idx(_find(folder, f"{stem}-labels-idx1-ubyte"), n_axes=1)
    if images.shape[0] != labels.shape[0]:
        raise InputError(
            f"{images.path}: holds {images.shape[0]} images, but {labels.path} "
            f"{labels.shape[0]} labels; one label per image is needed"
        )
    return images, labels


def _find(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    raise InputError(
        f"{folder}: holds no {name} or {name}.gz; give the folder of the four idx "
        "files with --from"
    )


def _system_folder() -> Path:
    shares = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    for share in filter(None, shares.split(":")):
        folder = Path(share) / "datasets" / "fashion-mnist"
        if folder.is_dir():
            return folder
    raise InputError(
        f"no datasets/fashion-mnist in {shares}: install the Debian package "
        "dataset-fashion-mnist, or give the folder of the four idx files with --from"
    )
