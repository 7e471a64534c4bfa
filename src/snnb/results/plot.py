"""`Run.plot`: draw a figure of a result, as its stage saves it."""

import csv
import io
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from snnb.core.errors import DamagedError, InputError, UpstreamError, UsageError
from snnb.io.figures import Figure, styled
from snnb.io.npy import load_archive
from snnb.io.text import read_document, read_text
from snnb.network.read_network import read_network
from snnb.network.spike_counts import SUMS
from snnb.plots.simulation import plot_quality, plot_raster, plot_rates
from snnb.plots.training import plot_training
from snnb.results.compare import simulated_files
from snnb.rundir.directory import RunDirectory
from snnb.simulation.files import read_spikes
from snnb.stages.simulate import in_force
from snnb.stages.stage import unaltered
from snnb.training.history import METRICS_FILE, EpochMetrics, TrainingMetrics


@styled
def plot(run: RunDirectory, name: str, result: Optional[str] = None) -> Figure:
    """Return a figure of a result, by default of the current one; `name` is one of `PLOTS`."""
    if name not in PLOTS:
        raise UsageError(f"plot {name!r} is unknown; use one of {', '.join(PLOTS)}")
    stage, draw = PLOTS[name]
    results = {} if run.kind(stage).names is None else run.records_of(stage)
    if result is not None and result not in results:
        raise UsageError(
            f"{result}: no result of {stage} in {run.path}; omit it for the current one"
        )
    if result is None and results:
        result = in_force(run) if stage == "simulate" else run.latest(stage)
    record = run.record_of(stage, result)
    if record is None:
        raise UpstreamError(
            f"{run.path} has no result of {stage} to plot; run {stage} first"
        )
    for file in record.outputs:
        unaltered(run, file.path)
    figure = draw(run, run.path / run.directory_of(stage, result))
    figure.tight_layout()
    return figure


def read_training(
    run: RunDirectory, folder: str
) -> Tuple[TrainingMetrics, List[EpochMetrics]]:
    """Return the metrics of a training and its history, by epoch; its files are in a directory of the run.

    A network that was trained with another program has no epochs.
    """
    metrics = read_document(TrainingMetrics, unaltered(run, f"{folder}/{METRICS_FILE}"))
    path = f"{folder}/training_history.csv"
    if path not in run.outputs():
        return metrics, []
    rows = list(csv.DictReader(io.StringIO(read_text(unaltered(run, path)))))
    try:
        return metrics, [{name: float(row[name]) for name in rows[0]} for row in rows]
    except (TypeError, ValueError):
        raise DamagedError(
            run.path / path, "holds a value that is not a number"
        ) from None


def has_history(metrics: TrainingMetrics, history: Sequence[EpochMetrics]) -> bool:
    """Whether there is a history to plot: none if another program trained the network."""
    return metrics.kept_epoch is not None and bool(history) and "epoch" in history[0]


def _training(run: RunDirectory, folder: Path) -> Figure:
    metrics, history = read_training(run, folder.name)
    if not has_history(metrics, history):
        raise InputError(
            f"{run.path} has no history of a training: the network was trained with "
            "another program"
        )
    return plot_training(metrics, history, run.model)


def _rates(run: RunDirectory, folder: Path) -> Figure:
    statistics, counts = simulated_files(run, folder.name)
    source, coding = next(iter(statistics.coding.items()))
    if coding == "spikes":
        counts = {
            source: load_archive(folder / SUMS, must=["input"])["input"],
            **counts,
        }
    possible = statistics.num_samples * statistics.num_timesteps
    return plot_rates({name: values / possible for name, values in counts.items()})


def _raster(run: RunDirectory, folder: Path) -> Figure:
    statistics, _ = simulated_files(run, folder.name)
    network = read_network(folder / run.parsed_name)
    return plot_raster(
        network, read_spikes(folder), statistics.latency_steps, statistics.first_sample
    )


def _is_of_layers(run: RunDirectory, folder: Path) -> bool:
    return run.records_of("map")[folder.name].details.mesh is None


def _mapping(run: RunDirectory, folder: Path, name: str) -> Figure:
    from snnb.mapping.files import Mapping
    from snnb.plots import mapping as plots

    if _is_of_layers(run, folder):
        raise InputError(
            f"maps/{folder.name} is of whole layers on cores; plot `layers`"
        )
    mapping = Mapping.open(folder)
    if name == "events" and mapping.cost.energy_by_event_pj is None:
        raise InputError(
            f"{mapping.hardware.name} has no energies of events, so there is nothing "
            "to plot"
        )
    draw: Callable[[Mapping], Figure] = getattr(plots, f"plot_{name}")
    return draw(mapping)


def _layers(run: RunDirectory, folder: Path) -> Figure:
    from snnb.mapping.layers.layer_cost import COST, LayerCost
    from snnb.plots.mapping import plot_layers

    if not _is_of_layers(run, folder):
        raise InputError(f"maps/{folder.name} is of neurons on cores; plot `mapping`")
    return plot_layers(LayerCost.read(folder / COST))


Draw = Callable[[RunDirectory, Path], Figure]  # called with the directory of a result
PLOTS: Dict[str, Tuple[str, Draw]] = {  # by name: the stage of the result
    "training": ("train", _training),
    # Or the mean squared error
    "accuracy": (
        "simulate",
        lambda run, folder: plot_quality(*simulated_files(run, folder.name)[0].course),
    ),
    "rates": ("simulate", _rates),
    "raster": ("simulate", _raster),
    **{
        name: ("map", partial(_mapping, name=name))
        for name in ("mapping", "traffic", "events")
    },
    "layers": ("map", _layers),
}
