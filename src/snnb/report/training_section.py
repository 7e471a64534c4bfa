"""Section of the page about the training of the network."""

import shlex
from pathlib import Path
from typing import Optional

from snnb.core.quantities import rows, view
from snnb.plots.training import plot_training
from snnb.report.page import Figure, Section, Table, embed_figure, settings_table
from snnb.results.compare import Simulation
from snnb.results.plot import has_history, read_training
from snnb.rundir.directory import RunDirectory
from snnb.stages.train import is_spiking, shown_params
from snnb.training.history import TrainingMetrics

TEST = view(
    "test_accuracy",
    "test_loss",
    "test_mean_squared_error",
    of=[TrainingMetrics],
)


def training_section(run: RunDirectory, simulation: Optional[Simulation]) -> Section:
    """Return the section about the training of a simulated network.

    Without a simulation, of the run's network.
    """
    record = run.record_of("train")
    if record is None:
        command = shlex.join(["snnb", "train", "--run-dir", str(run.path)])
        return Section(
            "training",
            "Training",
            [f"Not yet: `{command}` trains the network."],
        )
    if is_spiking(run):
        name = Path(run.manifest.run.model_source or run.model).name
        return Section(
            "training",
            "Training",
            [f"Nothing is trained here: {name} is a trained spiking network."],
        )
    # A simulation keeps a copy of the history of its network, which may have been
    # trained again since.
    folder = (
        run.directory_of("train")
        if simulation is None
        else run.directory_of("simulate", simulation.stamp)
    )
    params = record.params if simulation is None else simulation.record.details.training
    metrics, history = read_training(run, folder)
    words = [
        "; ".join(f"{row.title}: {row.measure}" for row in rows(metrics, TEST)) + ".",
    ]
    if not has_history(metrics, history):
        words.append(
            "No training history: the network was trained with another program.",
        )
        return Section("training", "Training", words)
    picture = embed_figure(
        "loss and accuracy by epoch", plot_training(metrics, history)
    )
    last = Table(
        ("after the last epoch", "value"),
        [(name, f"{value:.4g}") for name, value in history[-1].items()],
    )
    folded_tables = {
        "Parameters of the training": settings_table(shown_params(run, params))
    }
    return Section(
        "training",
        "Training",
        words,
        [Figure(picture)],
        tables=[last],
        folded=folded_tables,
    )
