"""The table of sites: how a scheduler is asked there, and how ranks are started."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stsyn_mpi.config_values import coerce_all, read_toml, shown
from stsyn_mpi.errors import InputError
from stsyn_mpi.spec import choose, nearest

SCHEDULERS = ("pbs", "slurm")
DEFAULT_SITE = {"pbs": "generic-pbs", "slurm": "generic-slurm"}
BUNDLED = Path(__file__).with_name("sites.toml")

_GPU_ORDERS = ("", "same", "reversed")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Site:
    """A site, or a kind of sites.

    Attributes
    ----------
    name, scheduler, about : str
        Its name, ``pbs`` or ``slurm``, and what is particular about it.
    launch : str
        Shell words that start the ranks; the command follows them.
    request, gpu_request : tuple of str
        Directives, without ``#PBS`` or ``#SBATCH``; the latter where GPUs are used.
    chunk, gpu_chunk : str
        PBS: what a node is asked for in ``-l select``; none where ``chunk`` is empty.
    totals, gpu_totals : tuple of str
        PBS without select: resources of the whole job.
    account, queue, cpu_queue : str
        The directive that names the project; the usual queue, if any, and that of jobs
        without GPUs where it is another.
    whole_nodes : bool
        Whether all cores of a node are asked for, or the share of the GPUs taken.
    cores_per_node, gpus_per_node, memory_gb_per_node : int or None
        What a node has, where that is known.
    gpu_order : str
        Which GPU the first worker of a node gets, where the script has to bind:
        ``same`` (the first) or ``reversed`` (the last). Empty: ranks bind themselves.
    environment, software, notes : tuple of str
        ``NAME=value`` for all ranks; shell lines that load modules; remarks.
    """

    name: str
    scheduler: str
    launch: str
    about: str = ""
    request: tuple[str, ...] = ()
    gpu_request: tuple[str, ...] = ()
    chunk: str = ""
    gpu_chunk: str = ""
    totals: tuple[str, ...] = ()
    gpu_totals: tuple[str, ...] = ()
    account: str = "-A {account}"
    queue: str = ""
    cpu_queue: str = ""
    whole_nodes: bool = False
    cores_per_node: int | None = None
    gpus_per_node: int | None = None
    memory_gb_per_node: int | None = None
    gpu_order: str = ""
    environment: tuple[str, ...] = ()
    software: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def load_sites(own: Path | None = None) -> dict[str, Site]:
    """Return the sites of the package, and those of a file, which win, by name.

    Parameters
    ----------
    own : Path or None
        A TOML file with a table for each site.

    Raises
    ------
    InputError
        If the file is not of that form; it names table and key.
    """
    tables: dict[str, Any] = {}
    origin: dict[str, Path] = {}
    for path in (BUNDLED, *([own] if own else [])):
        for name, table in _tables(path).items():
            tables[name], origin[name] = table, path
    return {name: _site(name, tables, origin[name]) for name in tables}


def find_site(sites: Mapping[str, Site], name: str | None, scheduler: str) -> Site:
    """Return the site of a name, or the generic one of a scheduler.

    Raises
    ------
    InputError
        If there is none of that name, or it has the other scheduler.
    """
    wanted = (name or DEFAULT_SITE[scheduler]).replace("_", "-")
    site = sites[choose(wanted, sites, "site")]
    if site.scheduler != scheduler:
        fitting = [
            other.name for other in sites.values() if other.scheduler == scheduler
        ]
        raise InputError(
            f"--site {site.name} is a site of {site.scheduler}: say stsyn-mpi job "
            f"{site.scheduler}, or take one of {', '.join(fitting)}"
        )
    return site


def _tables(path: Path) -> dict[str, Any]:
    tables = read_toml(path)
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise InputError(
                f"{name} in {str(path)!r} is no site: a site is a table, [{name}]"
            )
    # The reader makes underscores of dashes; in names of sites they are the same.
    return {name.replace("_", "-"): table for name, table in tables.items()}


def _site(name: str, tables: Mapping[str, Any], path: Path) -> Site:
    where = f"site {name!r} of {str(path)!r}"
    if not _NAME.fullmatch(name):
        raise InputError(f"{where}: a name is letters, digits, '.', '_' and '-'")
    values = coerce_all(_inherited(name, tables, where), _types(), where, "job")
    for key in ("scheduler", "launch"):
        if not values.get(key):
            raise InputError(f"{where} has no {key!r}, nor a 'like' that has")
    choose(values["scheduler"], SCHEDULERS, f"scheduler in {where}:")
    choose(values.get("gpu_order", ""), _GPU_ORDERS, f"gpu-order in {where}:")
    for key, value in values.items():
        _check_lines(value, f"{key} in {where}")
    return Site(name=name, **values)


def _inherited(name: str, tables: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the keys of a table, and below them those of the tables it is like."""
    values: dict[str, Any] = {}
    seen: list[Any] = []
    wanted: Any = name
    while wanted is not None:
        if wanted in seen:
            raise InputError(f"{where}: 'like' leads back to {wanted!r}")
        if not isinstance(wanted, str) or wanted not in tables:
            near = nearest(str(wanted), tables)
            raise InputError(f"{where}: like = {shown(wanted)} is no site{near}")
        seen.append(wanted)
        table = {key.replace("-", "_"): v for key, v in tables[wanted].items()}
        wanted = table.pop("like", None)
        wanted = wanted.replace("_", "-") if isinstance(wanted, str) else wanted
        values = {**table, **values}
    return values


def _types() -> dict[str, str]:
    kinds = {"tuple[str, ...]": "texts", "int | None": "int?"}
    return {
        field.name: kinds.get(str(field.type), str(field.type))
        for field in dataclasses.fields(Site)
        if field.name != "name"
    }


def _check_lines(value: Any, where: str) -> None:
    for text in value if isinstance(value, tuple) else (value,):
        if isinstance(text, str) and not text.isprintable():
            raise InputError(f"{where}: {text!r} is not one line of plain text")
