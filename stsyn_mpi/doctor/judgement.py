"""What the ranks have found, judged: no MPI and no clock, so that it can be tested."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from stsyn_mpi.doctor.facts import RankFacts, numbers_in, ranges
from stsyn_mpi.doctor.verdicts import Verdict, failure, ok, warning

_MOST_NAMED = 6
_LOADED_EARLY = (
    "something loads NumPy before train can set OPENBLAS_NUM_THREADS: set it in the "
    "job script"
)


def judge_software(facts: Sequence[RankFacts]) -> Verdict:
    """Say whether all ranks run the same software."""
    by_software = _grouped([fact.software for fact in facts])
    if len(by_software) == 1:
        return ok("software", facts[0].software)
    others = [s for s in by_software if s != facts[0].software]
    ranks = naming(by_software[others[0]])
    return failure(
        "software",
        f"{ranks} have {others[0]}, rank 0 has {facts[0].software}",
        "load the same modules and environment on all nodes",
    )


def judge_map(facts: Sequence[RankFacts]) -> list[Verdict]:
    """Return a line for each host: its ranks, their cores and devices."""
    verdicts = []
    for host, ranks in _grouped([fact.host for fact in facts]).items():
        places = [
            f"rank {r} cores {facts[r].cores} {facts[r].device}"
            for r in ranks[:_MOST_NAMED]
        ]
        more = len(ranks) - len(places)
        rest = [f"and {more} more"] if more > 0 else []
        verdicts.append(ok(f"host {host}", "; ".join([*places, *rest])))
    return verdicts


def judge_cores(facts: Sequence[RankFacts]) -> Verdict:
    """Say whether each worker can have a core; the root hardly computes."""
    crowded = []
    for host, ranks in _grouped([fact.host for fact in facts]).items():
        cores = set[int]().union(*(numbers_in(facts[r].cores) for r in ranks))
        busy = [facts[r] for r in ranks if r > 0 and not facts[r].device_id]
        needed = sum(fact.blas_threads or 1 for fact in busy)
        if needed > len(cores):
            crowded.append(f"{host}: {needed} threads compute on {len(cores)} cores")
    if crowded:
        return warning(
            "cores",
            "; ".join(crowded[:_MOST_NAMED]),
            "start fewer ranks on a node, or ask for more cores",
        )
    return _judge_binding(facts)


def _judge_binding(facts: Sequence[RankFacts]) -> Verdict:
    """Say whether several workers were bound to one core."""
    masks: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for rank, fact in enumerate(facts[1:], 1):
        masks[fact.host, fact.cores].append(rank)
    for (host, cores), ranks in masks.items():
        if len(ranks) > 1 and len(numbers_in(cores)) == 1:
            return warning(
                "cores",
                f"{naming(ranks)} of {host} are all bound to core {cores}",
                "mpirun --bind-to none, srun --cpus-per-task=2, PALS --cpu-bind depth",
            )
    return ok("cores", "a core for each worker")


def judge_blas(facts: Sequence[RankFacts], wanted: int) -> Verdict:
    """Say whether BLAS runs as many threads as it was told."""
    by_threads = _grouped([str(fact.blas_threads) for fact in facts])
    if list(by_threads) == ["None"]:
        return ok("BLAS threads", f"{wanted} asked for; this BLAS does not tell")
    wrong = [text for text in by_threads if text not in (str(wanted), "None")]
    if not wrong:
        return ok("BLAS threads", f"{wanted} in each rank")
    ranks = by_threads[wrong[0]]
    found, remedy = f"{naming(ranks)} run {wrong[0]}, not {wanted}", _LOADED_EARLY
    n_cores = {len(numbers_in(facts[r].cores)) for r in ranks}
    if n_cores == {int(wrong[0])} and int(wrong[0]) < wanted:
        found += ", as many as they have cores"
        remedy = f"ask for more cores for each rank, or say --blas-threads {wrong[0]}"
    return warning("BLAS threads", found, remedy)


def judge_gpus(facts: Sequence[RankFacts], wanted: str = "auto") -> Verdict:
    """Say who shares a GPU, and who has none; ``wanted`` is the option ``--device``."""
    if not any(fact.n_gpus for fact in facts):
        return ok("GPUs", "none is seen: ranks compute on cores")
    if wanted == "cpu":
        return ok("GPUs", "none is asked for: ranks compute on cores")
    sharing: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for rank, fact in enumerate(facts):
        if fact.device_id:
            sharing[fact.host, fact.device_id].append(rank)
    shared = [ranks for ranks in sharing.values() if len(ranks) > 1]
    if shared:
        host = facts[shared[0][0]].host
        return warning(
            "GPUs",
            f"{naming(shared[0])} of {host} share one GPU",
            "start as many workers on a node as it has GPUs, and the root beside them",
        )
    without = [r for r, fact in enumerate(facts) if r and not fact.device_id]
    if without:
        return warning(
            "GPUs",
            f"{naming(without)} have none",
            "ask for a GPU on each node, or see --device",
        )
    return ok("GPUs", f"{len(sharing)} in use, none shared")


def judge_transfers(
    sent: Sequence[int], received: Sequence[int], reason: str, *, is_root_on_gpu: bool
) -> Verdict:
    """Judge what MPI did with GPU memory, both ways.

    Parameters
    ----------
    sent, received : sequence of int
        Workers whose upload, and who received a model, damaged.
    reason : str
        Who says that MPI takes GPU memory.
    is_root_on_gpu : bool
        Whether the root's vectors were in GPU memory, too.
    """
    if not sent and not received:
        among = "root's and workers'" if is_root_on_gpu else "workers'"
        found = f"MPI takes it, checked by transfers of {among} vectors both ways"
        return ok("GPU memory", f"{found}: {reason}")
    ways = [
        f"{what} {naming(workers, 'worker')}"
        for what, workers in (("uploads of", sent), ("models to", received))
        if workers
    ]
    found = f"MPI damages {' and '.join(ways)}: {reason}"
    return failure("GPU memory", found, "train --gpu-direct off")


def judge_threads(facts: Sequence[RankFacts], funneled: int) -> Verdict:
    """Say whether MPI allows a second thread that makes no MPI call."""
    if min(fact.thread_level for fact in facts) >= funneled:
        return ok("threads", "MPI allows threads beside the one that calls it")
    return failure(
        "threads",
        "MPI provides less than MPI_THREAD_FUNNELED",
        "use an MPI that was built with threads",
    )


def judge_deaths(library: str, *, survives: bool) -> Verdict:
    """Say whether the job outlives a dead rank."""
    if survives:
        return ok("dead ranks", "a dead worker is lost, the run goes on (ULFM)")
    if library.startswith("Open MPI v5"):
        return warning(
            "dead ranks",
            "a dead rank ends the job",
            "mpirun --with-ft ulfm keeps it alive, which train -M adds by itself",
        )
    return ok("dead ranks", f"a dead rank ends the job ({library}): train --resume")


def naming(ranks: Sequence[int], noun: str = "rank") -> str:
    """Return ``rank 3`` or ``ranks 1-4,7``."""
    return f"{noun}{'s' if len(ranks) > 1 else ''} {ranges(sorted(ranks))}"


def _grouped(texts: Sequence[str]) -> dict[str, list[int]]:
    """Return the ranks by what they say, in order."""
    groups: dict[str, list[int]] = {}
    for rank, text in enumerate(texts):
        groups.setdefault(text, []).append(rank)
    return groups
