"""What theory expects of a round beside what was measured, for the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stsyn_mpi.analysis.prediction import PredictedQuantity, Prediction
from stsyn_mpi.analysis.words import abridged, time_words


def prediction_table(prediction: Prediction) -> RenderableType:
    """Return predicted and measured means of a round, or why there are none."""
    if not prediction.quantities:
        return _aside(prediction.reason_missing)
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        title="predicted and measured, a round",
    )
    table.title_justify = "left"
    table.add_column("")
    for heading in ("predicted", "spread", "measured", "ratio"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for quantity in prediction.quantities:
        table.add_row(*_cells(quantity))
    return Group(Padding(table, (0, 0, 0, 1)), _aside(prediction.assumptions))


def _cells(quantity: PredictedQuantity) -> tuple[str | Text, ...]:
    spread = quantity.predicted_sd
    verdict = Text("as expected") if quantity.is_expected else _odd()
    return (
        quantity.name,
        _figure(quantity.predicted, quantity.unit),
        "" if spread is None else _figure(spread, quantity.unit),
        _figure(quantity.measured, quantity.unit),
        f"{quantity.ratio:.3f}",
        verdict,
    )


def _odd() -> Text:
    return Text("unexpected", style="yellow")


def _figure(value: float, unit: str) -> str:
    return time_words(value) if unit == "s" else f"{value:.4g}"


def _aside(words: str) -> RenderableType:
    return Padding(Text(abridged(words), style="dim"), (0, 0, 1, 1))
