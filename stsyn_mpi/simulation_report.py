"""A simulated run as the command line shows it: log lines, and how it ended."""

from __future__ import annotations

import time
from dataclasses import asdict

from stsyn_mpi.analysis.communication import words_of
from stsyn_mpi.analysis.settings import special_settings
from stsyn_mpi.caveats import bias_of
from stsyn_mpi.config import TrainConfig
from stsyn_mpi.errors import RunFailure
from stsyn_mpi.progress import LOG, Progress, set_up_logging
from stsyn_mpi.run_simulation import simulate
from stsyn_mpi.simulate_config import SimulateConfig
from stsyn_mpi.simulation.network import Network


def run_and_tell(config: SimulateConfig) -> int:
    """Simulate and log; return the exit code: 0 done or stopped, 1 failed.

    Raises
    ------
    InputError, RunFailure
        As `simulate`.
    """
    set_up_logging(config.validate(), None)
    progress = Progress(config)
    start_t = time.perf_counter()
    try:
        result = simulate(config, begin=_introduce, report=progress.report)
    except MemoryError as error:
        raise RunFailure(
            f"workers, target updates, data or model need too much memory: {error}"
        ) from None
    LOG.info("%s", progress.line())
    finish = result.finish
    LOG.info(
        "%s: %s; %.6g virtual seconds in %.1f s; run file %s",
        finish.outcome.value,
        finish.reason,
        result.t,
        time.perf_counter() - start_t,
        result.path,
    )
    return result.exit_code


def _introduce(config: TrainConfig, network: Network) -> None:
    if (caveat := bias_of(config)) is not None:
        LOG.warning("%s", caveat)
    settings = special_settings(asdict(config))
    words = [f"delay {config.delay}", words_of(network), *settings]
    LOG.info(
        "%s with M=%d, K=%d, U=%d; %s",
        config.strategy,
        config.workers,
        config.wait_for,
        config.target_updates,
        "; ".join(words),
    )
