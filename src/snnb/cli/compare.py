"""`snnb compare`: simulations side by side."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional, Tuple

import typer
from typing_extensions import Annotated

from snnb.cli import output, signals
from snnb.cli.parameters import Json, Quiet, SomePath, Verbose
from snnb.errors import UsageError
from snnb.options import FIGURE_ENDINGS
from snnb.whole import refuse_existing, written_whole

if TYPE_CHECKING:
    from snnb.stages.comparison import Compared, Interval, MappingCost


def compare(
    simulations: Annotated[
        List[str],
        typer.Argument(
            metavar="RUN[:STAMP]...",
            help="Simulations; a run without a stamp stands for all of its simulations.",
            show_default=False,
        ),
    ],
    figure: Annotated[
        Optional[Path],
        typer.Option(
            help="Write a figure of the accuracy over time here: .png, .svg or .pdf.",
            click_type=SomePath(),
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the figure's file.")] = False,
    json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Show simulations side by side: parameters that differ, accuracies, rates, operations, mapping costs."""
    console = output.configure(json, verbose, quiet)
    from snnb.stages.comparison import compare as compared_simulations

    if figure is not None:
        if figure.suffix.lower() not in FIGURE_ENDINGS:
            raise UsageError(f"--figure {figure}: give a name that ends in {', '.join(FIGURE_ENDINGS)}")
        if figure.is_dir():
            raise UsageError(f"--figure {figure} is a directory; give the name of a file")
        refuse_existing(figure, force=force)
    signals.answer()
    found = compared_simulations(simulations)
    rows = [row for row in _rows(found) if any(row[1:])]
    if figure is not None:
        _draw(figure, found, force)
    document = {"figure": figure, "simulations": [asdict(one) for one in found]}
    lines = output.table_lines(rows, right=range(1, len(rows[0])))
    console.result([*lines, *([f"picture: {figure}"] if figure is not None else [])], document)


def _rows(found: "List[Compared]") -> List[List[str]]:
    several = len({one.run for one in found}) > 1
    names = list(dict.fromkeys(name for one in found for name in one.differs if name != "samples"))
    from snnb.stages.differences import in_words

    shown = [
        [in_words({"": one.differs[name]}).strip() if name in one.differs else "" for one in found] for name in names
    ]
    hardware = list(dict.fromkeys((cost.hardware, cost.method) for one in found for cost in one.mappings))
    return [
        ["", *(f"{one.run.name}:{one.stamp}" if several else one.stamp for one in found)],
        ["label", *(one.label or "" for one in found)],
        *([["model", *(one.model for one in found)], ["data set", *(one.dataset for one in found)]] if several else []),
        *([name, *values] for name, values in zip(names, shown)),
        ["samples", *(f"{one.samples:,}" for one in found)],
        ["ANN accuracy", *(_share(one.ann_accuracy, one.ann_interval) for one in found)],
        ["SNN accuracy", *(_share(one.snn_accuracy, one.snn_interval) for one in found)],
        ["ANN error", *(_number(one.ann_error) for one in found)],
        ["SNN error", *(_number(one.snn_error) for one in found)],
        ["spikes a step and neuron", *(_number(one.mean_rate) for one in found)],
        ["synaptic operations a sample", *(f"{one.synaptic_operations:,.0f}" for one in found)],
        ["synapses", *(f"{one.synapses:,}" for one in found)],
        ["neurons", *(f"{one.neurons:,}" for one in found)],
        *(row for pair in hardware for row in _cost_rows(found, pair)),
    ]


def _cost_rows(found: "List[Compared]", pair: Tuple[str, str]) -> List[List[str]]:
    """Rows for one hardware and method: of several such mappings of a graph the latest is shown."""
    costs = [
        next((cost for cost in reversed(one.mappings) if (cost.hardware, cost.method) == pair), None) for one in found
    ]
    where = " ".join(pair)
    return [
        [f"{where}: cores", *("" if cost is None else _cores(cost) for cost in costs)],
        [f"{where}: spikes between cores", *("" if cost is None else f"{cost.connectivity:,.1f}" for cost in costs)],
        [f"{where}: hops", *("" if cost is None else f"{cost.hops_unicast:,.1f}" for cost in costs)],
        [f"{where}: energy (pJ)", *("" if cost is None else f"{cost.energy_pj:,.1f}" for cost in costs)],
    ]


def _cores(cost: "MappingCost") -> str:
    return f"{cost.cores:,}" + (f" (invalid: {cost.overfull_cores:,} overfull)" if cost.overfull_cores else "")


def _share(share: Optional[float], interval: "Optional[Interval]") -> str:
    if share is None or interval is None:
        return ""
    return f"{share:.2%} ({interval[0]:.2%} to {interval[1]:.2%})"


def _number(value: Optional[float]) -> str:
    return "" if value is None else f"{value:.4g}"


def _draw(path: Path, found: "List[Compared]", force: bool) -> None:
    from snnb.report.accuracies import Course, plot_courses

    errors = [one.ann_error for one in found if one.ann_error is not None]
    if errors and len(errors) < len(found):
        raise UsageError("--figure: classifiers and networks that reproduce their input have no common axis")
    courses = [
        Course(one.name, one.by_step, float((one.ann_error if errors else one.ann_accuracy) or 0)) for one in found
    ]
    with written_whole(path, force=force) as temporary:
        plot_courses(temporary, courses, "mean squared error" if errors else "accuracy")
