"""``stsyn-mpi doctor``: whether this machine is fit for a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

_DIRECT = click.Choice(["auto", "on", "off"])
_DEVICES = click.Choice(["auto", "cpu", "gpu"])


@click.command()
@click.option("-M", "--workers", type=int, help="As for train. [default: 2]")
@click.option("--device", type=_DEVICES, default="auto", help="As for train.")
@click.option("--root-device", type=_DEVICES, default="auto", help="As for train.")
@click.option("--gpu-direct", type=_DIRECT, default="auto", help="As for train.")
@click.option("--blas-threads", type=int, default=1, help="As for train.")
@click.option(
    "--out",
    "folder",
    metavar="DIR",
    default="runs",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of the run files to come.",
)
@click.option("--large", is_flag=True, help="Send a vector of 2.5 GiB (5 GiB needed).")
@click.option("--strict", is_flag=True, help="Exit code 1 for warnings, too.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def doctor(
    arguments: Sequence[str],
    /,
    workers: int | None,
    device: str,
    root_device: str,
    gpu_direct: str,
    blas_threads: int,
    folder: Path,
    large: bool,
    strict: bool,
    as_json: bool,
) -> int:
    """Look at MPI, ranks, cores, GPUs, messages and the file system of the run files.

    Start it as the run will be started, by mpirun or srun. Outside of a launcher it
    starts mpirun itself, with -M workers. One line a thing: ok, warning or failure, the
    last two with what helps. Exit code 1 if something fails.
    """
    from stsyn_mpi.mpi import launch

    launch.limit_blas(os.environ, blas_threads)
    if not launch.launched_by_mpi(os.environ):
        from stsyn_mpi.doctor.starting import start

        return start(arguments, 2 if workers is None else workers, blas_threads)
    from stsyn_mpi.doctor.examination import Wishes
    from stsyn_mpi.doctor.telling import examine_and_tell

    wishes = Wishes(device, root_device, gpu_direct, blas_threads, folder, large)
    return examine_and_tell(wishes, sys.stdout, as_json=as_json, strict=strict)
