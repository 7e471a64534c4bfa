"""`Run.plot`: draw a figure of a result, as its stage saves it."""

import csv
import io
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, Optional, Tuple

import numpy as np

from snnb.core.errors import DamagedError, InputError, UpstreamError, UsageError
from snnb.io.figures import Figure, styled
from snnb.io.npy import load_archive
from snnb.io.text import read_document, read_text
from snnb.network.read_network import read_network
from snnb.results.compare import simulated_files
from snnb.rundir.directory import RunDirectory
from snnb.simulation.files import SUMS, read_spikes
from snnb.simulation.plots import plot_quality, plot_raster, plot_rates
from snnb.stages.stage import unaltered
from snnb.training.history import METRICS_FILE, TrainingMetrics, plot_history

History = Dict[str, List[float]]


@styled
def plot(run: RunDirectory, name: str, result: Optional[str] = None) -> Figure:
    """Return a figure of a result, by default of the current one; `name` is one of `PLOTS`."""
    if name not in PLOTS:
        raise UsageError(f"plot {name!r} is unknown; use one of {', '.join(PLOTS)}")
    stage, draw = PLOTS[name]
    results = {} if run.kind(stage).names is None else run.records_of(stage)
    if result is not None and result not in results:
        raise UsageError(f"{result}: no result of {stage} in {run.path}; omit it for the current one")
    result = result or (run.current(stage) if results else None)
    record = run.record_of(stage, result)
    if record is None:
        raise UpstreamError(f"{run.path} has no result of {stage} to plot; run {stage} first")
    for file in record.outputs:
        unaltered(run, file.path)
    figure = draw(run, run.path / run.directory_of(stage, result))
    figure.tight_layout()
    return figure


def read_training(run: RunDirectory, folder: str) -> Tuple[TrainingMetrics, History]:
    """Return metrics and columns of the history of a training whose files are in a directory of the run.

    A network that was trained with another program has no columns.
    """
    metrics = read_document(TrainingMetrics, unaltered(run, f"{folder}/{METRICS_FILE}"))
    path = f"{folder}/training_history.csv"
    if path not in run.outputs():
        return metrics, {}
    rows = list(csv.DictReader(io.StringIO(read_text(unaltered(run, path)))))
    try:
        return metrics, {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else ())}
    except (TypeError, ValueError):
        raise DamagedError(run.path / path, "holds a value that is not a number") from None


def plot_training(metrics: TrainingMetrics, history: History, title: str = "") -> Figure:
    """Plot the history of a training; `metrics` has the epoch that was kept."""
    assert metrics.kept_epoch is not None
    values = {name: getattr(metrics, f"test_{name}") for name in ("accuracy", "loss", "mean_squared_error")}
    test = {name: value for name, value in values.items() if value is not None}
    test.setdefault("loss", test.get("mean_squared_error", np.nan))
    epochs = [dict(zip(history, row)) for row in zip(*history.values())]
    return plot_history(epochs, metrics.kept_epoch - 1, test, title)


def _training(run: RunDirectory, folder: Path) -> Figure:
    metrics, history = read_training(run, folder.name)
    if metrics.kept_epoch is None or not history.get("epoch"):
        raise InputError(f"{run.path} has no history of a training: the network was trained with another program")
    return plot_training(metrics, history, run.model)


def _rates(run: RunDirectory, folder: Path) -> Figure:
    statistics, counts = simulated_files(run, folder.name)
    source, coding = next(iter(statistics.coding.items()))
    if coding == "spikes":
        counts = {source: load_archive(folder / SUMS, must=["input"])["input"], **counts}
    possible = statistics.num_samples * statistics.num_timesteps
    return plot_rates({name: values / possible for name, values in counts.items()})


def _raster(run: RunDirectory, folder: Path) -> Figure:
    statistics, _ = simulated_files(run, folder.name)
    network = read_network(folder / run.parsed_name)
    return plot_raster(network, read_spikes(folder), statistics.latency_steps, statistics.first_sample)


def _is_of_layers(run: RunDirectory, folder: Path) -> bool:
    return run.records_of("map")[folder.name].details.mesh is None


def _mapping(run: RunDirectory, folder: Path, name: str) -> Figure:
    from snnb.mapping import plots
    from snnb.mapping.files import Mapping

    if _is_of_layers(run, folder):
        raise InputError(f"maps/{folder.name} is of whole layers on cores; plot `layers`")
    mapping = Mapping.open(folder)
    if name == "events" and mapping.cost.energy_by_event_pj is None:
        raise InputError(f"{mapping.hardware.name} has no energies of events, so there is nothing to plot")
    draw: Callable[[Mapping], Figure] = getattr(plots, f"plot_{name}")
    return draw(mapping)


def _layers(run: RunDirectory, folder: Path) -> Figure:
    from snnb.mapping.layers.layer_cost import COST, LayerCost
    from snnb.mapping.layers.layer_plots import plot_layers

    if not _is_of_layers(run, folder):
        raise InputError(f"maps/{folder.name} is of neurons on cores; plot `mapping`")
    return plot_layers(LayerCost.read(folder / COST))


Draw = Callable[[RunDirectory, Path], Figure]  # called with the directory of a result
PLOTS: Dict[str, Tuple[str, Draw]] = {  # by name: the stage of the result
    "training": ("train", _training),
    # Or the mean squared error
    "accuracy": ("simulate", lambda run, folder: plot_quality(*simulated_files(run, folder.name)[0].course)),
    "rates": ("simulate", _rates),
    "raster": ("simulate", _raster),
    **{name: ("map", partial(_mapping, name=name)) for name in ("mapping", "traffic", "events")},
    "layers": ("map", _layers),
}
