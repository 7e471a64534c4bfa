"""The section of the page about the training: what the history says, epoch by epoch."""

from typing import Dict, List, Mapping, Sequence

from snnb.io.text import JsonValue
from snnb.report.charts import Line, line_chart
from snnb.report.page import Figure, Section, Table, settings_table

ACCURACY, LOSS = "accuracy", "loss"
FAR = 20


def training_section(
    history: Mapping[str, Sequence[float]], metrics: Mapping[str, JsonValue], parameters: Mapping[str, JsonValue]
) -> Section:
    """Return the section.

    Parameters
    ----------
    history : mapping of str to sequence of float
        The columns of `training_history.csv`; empty for a network that was trained elsewhere.
    metrics, parameters : mapping
        Of the training.
    """
    summary = [f"{name.replace('_', ' ')}: {value:.4g}" for name, value in metrics.items() if value is not None]
    words = ["; ".join(summary) + "."] if summary else []
    if not history.get("epoch"):
        return Section("training", "Training", [*words, "There is no history: the network was trained elsewhere."])
    figures = [
        Figure(line_chart(lines, "epoch", name, whole_x=True, log_y=_falls_far(lines)))
        for name, lines in _lines(history).items()
        if lines
    ]
    last = [(name, f"{values[-1]:.4g}") for name, values in history.items()]
    tables = [Table(("after the last epoch", "value"), last)]
    folded = {"Parameters of the training": settings_table(parameters)}
    return Section("training", "Training", words, figures, tables=tables, folded=folded)


def _falls_far(lines: Sequence[Line]) -> bool:
    """Whether the first values are so high, as a validation loss can be, that the others could not be told apart."""
    values = [value for line in lines for value in line.y]
    return min(values) > 0 and max(values) > FAR * min(values)


def _lines(history: Mapping[str, Sequence[float]]) -> Dict[str, List[Line]]:
    """Sort the columns into two charts: those of an accuracy, and those of a loss."""
    charts: Dict[str, List[Line]] = {ACCURACY: [], LOSS: []}
    for name, values in history.items():
        for chart, lines in charts.items():
            if name.split("_")[-1] == chart:
                lines.append(Line(name.replace("_", " "), history["epoch"], values, dashed=name.startswith("val_")))
    return charts
