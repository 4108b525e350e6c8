"""What candidates train while they are judged: the run's own data and model, if small.

A run file may come from a stranger, so the size of either is looked at before any of
it is read into memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from stsyn_mpi.analysis.words import abridged
from stsyn_mpi.config import field_types
from stsyn_mpi.datasets import open_dataset
from stsyn_mpi.datasets.reader import BUNDLED
from stsyn_mpi.errors import InputError
from stsyn_mpi.models.mlp import parse_widths
from stsyn_mpi.runfile.reader import Run
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.spec import parse_spec
from stsyn_mpi.tuning.machine import Machine

DATA, MODEL = "digits", "softmax"
"""What is trained where the run's own is too large, or not there."""
_MOST_BYTES, _MOST_PARAMS = 32 << 20, 1_000_000
_KEPT = (
    *("partition", "weights", "server_step", "batch_size", "lr", "momentum"),
    *("nesterov", "weight_decay", "keep_optimizer_state"),
)
"""Options of the run that decide how training goes."""


@dataclass(frozen=True)
class Proxy:
    """What is trained, and why it is that.

    Attributes
    ----------
    common : SimulateConfig
        Options of all its runs: machine, data, model, and how the run trained.
    is_own : bool
        Whether data and model are those of the run.
    words : str
        A sentence without its full stop.
    """

    common: SimulateConfig
    is_own: bool
    words: str


def config_of(run: Run) -> SimulateConfig:
    """Return the stored configuration of a run.

    Raises
    ------
    InputError
        If it holds what no configuration has.
    """
    stored: Mapping[str, Any] = run.config
    known = field_types(SimulateConfig)
    odd = sorted(set(stored) - set(known))
    if odd:
        raise InputError(
            f"{run.path}: its configuration has the unknown key {abridged(odd[0])!r}"
        )
    return replace(SimulateConfig.from_mapping(stored), workers=run.n_workers)


def proxy_of(
    run: Run, machine: Machine, data: str | None, model: str | None, seed: int
) -> Proxy:
    """Choose what is trained.

    Parameters
    ----------
    run : Run
        The run.
    machine : Machine
        Its machine.
    data, model : str or None
        What to take in any case.
    seed : int
        Of the first run.

    Raises
    ------
    InputError
        If an option does not fit.
    """
    own = config_of(run)
    chosen, is_own, words = _choose(own, data, model)
    kept = {name: getattr(own, name) for name in _KEPT}
    common = SimulateConfig(
        workers=machine.n_workers,
        data=chosen[0],
        model=chosen[1],
        seed=seed,
        delay=machine.delay,
        network=machine.communication.network,
        record_updates=False,
        device="cpu",
        **kept,
    )
    if is_own:
        return Proxy(common, is_own, words)
    return Proxy(_with_its_network(common, machine), is_own, words)


def _choose(
    own: SimulateConfig, data: str | None, model: str | None
) -> tuple[tuple[str, str], bool, str]:
    if data is not None or model is not None:
        pair = data or own.data, model or own.model
        return pair, pair == (own.data, own.model), _said(pair, "as was asked for")
    if (why := _why_not(own)) is None:
        pair = own.data, own.model
        return pair, True, _said(pair, "those of the run")
    pair = DATA, MODEL
    return pair, False, _said(pair, f"for {why}")


def _said(pair: tuple[str, str], why: str) -> str:
    data, model = (abridged(text, 80) for text in pair)
    return f"data {data} and model {model} are trained, {why}"


def _why_not(own: SimulateConfig) -> str | None:
    """Return why the run's own data and model are no proxy; None if they are."""
    path = BUNDLED.get(own.data, Path(own.data))
    try:
        if path.stat().st_size > _MOST_BYTES:
            return f"the run's data are larger than {_MOST_BYTES >> 20} MiB"
        with open_dataset(own.data) as data:
            shape, n_classes = data.image_shape, data.n_classes
            n_numbers = (data.n_train + data.n_test) * math.prod(shape)
    except (InputError, OSError, ValueError):
        return "the run's data are not here"
    if 4 * n_numbers > 4 * _MOST_BYTES:
        return f"the run's data are larger than {_MOST_BYTES >> 20} MiB"
    if _n_params(own.model, math.prod(shape), n_classes) > _MOST_PARAMS:
        return f"the run's model has more than {_MOST_PARAMS:,} parameters"
    return None


def _n_params(model: str, n_inputs: int, n_classes: int) -> int:
    """Return parameters of a model, before any memory is taken for them."""
    spec = parse_spec(model, "model")
    if spec.name == "cnn":
        # Its layers are fixed; their work is what makes it too much for a laptop.
        return _MOST_PARAMS + 1
    hidden = parse_widths(spec.parameters["hidden"]) if spec.parameters else (128,)
    inner = hidden if spec.name == "mlp" else ()
    widths = (n_inputs, *inner, n_classes)
    return sum((a + 1) * b for a, b in pairwise(widths))


def model_bytes(common: SimulateConfig) -> int:
    """Return the size of a model that is trained, byte."""
    from stsyn_mpi.arrays import select_backend
    from stsyn_mpi.models import build_model

    with open_dataset(common.data) as data:
        model = build_model(
            common.model, select_backend("cpu"), data.image_shape, data.n_classes
        )
    return 4 * model.n_params


def _with_its_network(common: SimulateConfig, machine: Machine) -> SimulateConfig:
    """Let models of another size take the time that those of the run take."""
    scaled = machine.communication.for_models(model_bytes(common))
    return replace(common, network=scaled.network)
