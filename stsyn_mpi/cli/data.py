"""``stsyn-mpi data``: make, show and check data files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from stsyn_mpi.datasets.reader import Dataset
    from stsyn_mpi.datasets.source import Source

_PATH = click.Path(path_type=Path)
_output = click.argument("output", metavar="OUT.h5", type=_PATH)
_force = click.option("--force", is_flag=True, help="Replace an existing output.")
_as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@click.group(invoke_without_command=True)
@click.pass_context
def data(ctx: click.Context) -> None:
    """Make, show and check data files (one HDF5 layout, see docs/data.md)."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _image_options(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option(
        "--channels", type=int, help="Repeat grey images to this many channels."
    )(command)
    return click.option(
        "--pad", type=int, metavar="N", help="Pad the images with zeros to N x N."
    )(command)


@data.command("fashion-mnist")
@click.option(
    "--from",
    "folder",
    type=_PATH,
    metavar="DIR",
    help="Folder of the idx files (default: that of the Debian package).",
)
@_image_options
@_force
@_output
def fashion_mnist_command(
    folder: Path | None,
    pad: int | None,
    channels: int | None,
    force: bool,
    output: Path,
) -> None:
    """Convert Fashion-MNIST from its four idx files, plain or gzipped.

    With --pad 32 --channels 3 it has the size of CIFAR-10.
    """
    from stsyn_mpi.datasets.fashion_mnist import fashion_mnist

    _write(output, _changed(fashion_mnist(folder), pad, channels), force)


@data.command("cifar10")
@_force
@click.argument("archive", type=_PATH)
@_output
def cifar10_command(archive: Path, force: bool, output: Path) -> None:
    """Convert CIFAR-10 from ARCHIVE, its cifar-10-binary.tar.gz."""
    from stsyn_mpi.datasets.cifar10 import cifar10

    _write(output, cifar10(archive), force)


@data.command("digits")
@_image_options
@_force
@_output
def digits_command(
    pad: int | None, channels: int | None, force: bool, output: Path
) -> None:
    """Write the bundled digits (1797 real 8x8 images) to a file."""
    from stsyn_mpi.datasets.digits import digits

    _write(output, _changed(digits(), pad, channels), force)


@data.command("synthetic")
@click.option("--train-images", default=10000, show_default=True)
@click.option("--test-images", default=2000, show_default=True)
@click.option("--shape", default="28x28x1", show_default=True, metavar="HxWxC")
@click.option("--classes", default=10, show_default=True)
@click.option("--noise", default=0.4, show_default=True, help="Difficulty; 0 is none.")
@click.option("--seed", default=0, show_default=True)
@_force
@_output
def synthetic_command(
    train_images: int,
    test_images: int,
    shape: str,
    classes: int,
    noise: float,
    seed: int,
    force: bool,
    output: Path,
) -> None:
    """Draw Gaussian clusters of any size, the same for equal seeds."""
    from stsyn_mpi.datasets.synthetic import parse_shape, synthetic

    image_shape = parse_shape(shape)
    source = synthetic(train_images, test_images, image_shape, classes, noise, seed)
    _write(output, source, force)


@data.command("npz")
@click.option("--name", help="Short name of the data (default: that of the file).")
@click.option("--class-names", metavar="A,B,...", help="Default: 0,1,...")
@click.option("--licence", default="not stated", show_default=True)
@click.option("--source", "origin", help="Where the data are from.")
@_force
@click.argument("arrays", metavar="FILE.npz", type=_PATH)
@_output
def npz_command(
    name: str | None,
    class_names: str | None,
    licence: str,
    origin: str | None,
    force: bool,
    arrays: Path,
    output: Path,
) -> None:
    """Convert arrays x_train, y_train, x_test, y_test of an npz file."""
    from stsyn_mpi.datasets.npz import npz

    names = tuple(class_names.split(",")) if class_names else None
    _write(output, npz(arrays, name, names, licence, origin), force)


@data.command("info")
@_as_json
@click.argument("file", metavar="digits|FILE.h5")
def info_command(file: str, as_json: bool) -> None:
    """Show what a data file holds."""
    from stsyn_mpi.datasets.reader import open_dataset
    from stsyn_mpi.datasets.summary import summary

    with open_dataset(file) as dataset:
        _print(summary(dataset), as_json)


@data.command("verify")
@_as_json
@click.argument("file", metavar="digits|FILE.h5")
def verify_command(file: str, as_json: bool) -> None:
    """Recompute the checksums and check every value."""
    from stsyn_mpi.datasets.reader import open_dataset
    from stsyn_mpi.datasets.verify import verify

    with open_dataset(file) as dataset:
        verify(dataset)
        if as_json:
            _print({"file": file, "ok": True, "checksum": dataset.checksum}, True)
        else:
            click.echo(f"{file}: good, {_in_words(dataset)}")


def _changed(source: "Source", pad: int | None, channels: int | None) -> "Source":
    from stsyn_mpi.datasets.source import padded, with_channels

    if pad is not None:
        source = padded(source, pad)
    return source if channels is None else with_channels(source, channels)


def _write(output: Path, source: "Source", force: bool) -> None:
    from stsyn_mpi.datasets.reader import open_dataset
    from stsyn_mpi.datasets.writer import write_data_file

    write_data_file(output, source, force)
    with open_dataset(output) as dataset:
        click.echo(f"wrote {output}: {_in_words(dataset)}")


def _in_words(dataset: "Dataset") -> str:
    from stsyn_mpi.datasets.layout import shape_text

    return (
        f"{dataset.name}, {dataset.n_train} training and {dataset.n_test} test images "
        f"of {shape_text(dataset.image_shape)}, {dataset.n_classes} classes"
    )


def _print(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(facts))
        return
    width = max(len(key) for key in facts)
    for key, value in facts.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else value
        click.echo(f"{key:<{width}}  {text}")
