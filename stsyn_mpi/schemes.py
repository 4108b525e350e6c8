"""From ``--strategy`` and ``--weights`` to a strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stsyn_mpi.errors import InputError
from stsyn_mpi.protocol.plan import Payload
from stsyn_mpi.spec import Spec, choose, parse_spec
from stsyn_mpi.strategies import Strategy, strategy_class, strategy_names
from stsyn_mpi.strategies.terms import ADAPTS, Parameter, SchemeTerms, WaitFor
from stsyn_mpi.strategies.weights import WEIGHTS, Weights

OWN_WEIGHTS = "auto"
_SIZES = ("K", "U")
_ADAPT = "adapt"


@dataclass(frozen=True)
class Scheme:
    """What ``name:K=5,U=10,key=value`` says; None where it says nothing.

    Attributes
    ----------
    kind
        The scheme.
    wait_for, target_updates, adapt
        K and U, and which of them it adapts; they win over the options of the run.
    values
        Its own parameters.
    """

    kind: type[Strategy]
    wait_for: int | None
    target_updates: int | None
    adapt: str | None
    values: Mapping[str, float]

    def sizes(
        self, wait_for: int | None, target_updates: int, n_workers: int
    ) -> tuple[int, int]:
        """Return K and U in force, from the run's options and M."""
        k = self.kind.waits_for.in_force(self.wait_for or wait_for, n_workers)
        return k, self.kind.fixed_updates or self.target_updates or target_updates


def parse_scheme(text: str) -> Scheme:
    """Parse ``--strategy``.

    Raises
    ------
    InputError
        Naming the scheme or parameter, and what is allowed.
    """
    spec = parse_spec(text, "--strategy")
    kind = strategy_class(choose(spec.name, strategy_names(), "--strategy"))
    own = [_ADAPT] * kind.adapts + [p.name for p in kind.parameters]
    spec.check_keys((*_SIZES, *own))
    _check_sizes(spec, kind)
    sizes = {
        key: spec.whole(key, minimum=1) for key in _SIZES if key in spec.parameters
    }
    values = _read_all(spec, kind.parameters)
    adapt = spec.choice(_ADAPT, ADAPTS, "") if _ADAPT in spec.parameters else None
    return Scheme(kind, sizes.get("K"), sizes.get("U"), adapt, values)


def _check_sizes(spec: Spec, kind: type[Strategy]) -> None:
    """Refuse a K or U in the scheme's own text that would have no effect."""
    if "K" in spec.parameters and kind.waits_for in (WaitFor.ALL, WaitFor.ONE):
        raise InputError(
            f"{kind.name!r} takes no K: it waits for {kind.waits_for.value}"
        )
    if "U" in spec.parameters and kind.fixed_updates is not None:
        raise InputError(f"{kind.name!r} takes no U: it has U = {kind.fixed_updates}")


def check_scheme(
    strategy: str,
    weights: str,
    wait_for: int | None,
    n_workers: int | None,
    adapt: str = ADAPTS[0],
) -> None:
    """Check ``--strategy`` and ``--weights`` against each other, K, M and ``--adapt``.

    Raises
    ------
    InputError
        Naming the value and what is allowed.
    """
    scheme = parse_scheme(strategy)
    k = scheme.wait_for or wait_for or 0
    if scheme.kind.waits_for is WaitFor.FASTEST and n_workers and k > n_workers:
        raise InputError(
            f"--wait-for must be at most the number of workers, K <= M = {n_workers}, "
            f"got {k}"
        )
    _check_adapt(scheme, adapt, parse_spec(strategy, "--strategy"))
    _parse_weights(weights, scheme.kind)


def _check_adapt(scheme: Scheme, adapt: str, spec: Spec) -> None:
    off, name = ADAPTS[0], scheme.kind.name
    if adapt != off and not scheme.kind.adapts:
        able = [name for name in strategy_names() if strategy_class(name).adapts]
        raise InputError(
            f"--adapt {adapt}: {name!r} keeps its K and U, allowed is off; "
            f"they can be adapted with --strategy {', '.join(able)}"
        )
    if (scheme.adapt or adapt) == off:
        for p in scheme.kind.parameters:
            if p.is_of_adapt and p.name in spec.parameters:
                raise InputError(
                    f"{p.name} of {name!r} has no effect without --adapt "
                    f"{' | '.join(ADAPTS[1:])}"
                )


def build_strategy(strategy: str, weights: str, terms: SchemeTerms) -> Strategy:
    """Make a strategy; ``terms`` holds K and U in force.

    Raises
    ------
    InputError
        Naming the value and what is allowed.
    """
    scheme = parse_scheme(strategy)
    chosen = _parse_weights(weights, scheme.kind)
    own = None if chosen is None else chosen[0](terms, **chosen[1])
    return scheme.kind(terms, own, **scheme.values)


def needs_samples(strategy: str, weights: str) -> bool:
    """Whether the weights in force ask for the size of each worker's data."""
    own = parse_scheme(strategy).kind.own_weights
    return (own if weights == OWN_WEIGHTS else parse_spec(weights).name) == "samples"


def _parse_weights(
    text: str, kind: type[Strategy]
) -> tuple[type[Weights], Mapping[str, float]] | None:
    spec = parse_spec(text, "--weights")
    choose(spec.name, (OWN_WEIGHTS, *WEIGHTS), "--weights")
    if spec.name == OWN_WEIGHTS:
        spec.check_keys(())
        return None
    if kind.own_weights is None:
        raise InputError(
            f"--weights {text}: {kind.name} takes no weights, its own are its rule"
        )
    weights = WEIGHTS[spec.name]
    spec.check_keys(p.name for p in weights.parameters)
    return weights, _read_all(spec, weights.parameters)


def _read_all(spec: Spec, parameters: Sequence[Parameter]) -> dict[str, float]:
    return {p.name: _read(spec, p) for p in parameters}


def _read(spec: Spec, parameter: Parameter) -> float:
    """Return a parameter's value in the spec."""
    p = parameter
    if p.is_duration:
        value = spec.duration(p.name, p.default)
    elif p.is_whole:
        value = float(spec.whole(p.name, int(p.default), int(p.low)))
    else:
        value = spec.number(p.name, p.default)
    if not p.low <= value <= p.high:
        most = f" and at most {p.high:g}" if p.high < float("inf") else ""
        raise InputError(
            f"{p.name} of {spec.name!r} must be at least {p.low:g}{most}, got {value:g}"
        )
    return value


def trains_gradients(strategy: str) -> bool:
    """Whether workers upload gradients taken at the round's model."""
    return parse_scheme(strategy).kind.payload is Payload.GRADIENT_SUM
