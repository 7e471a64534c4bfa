"""What lies beside the counts in a simulation's directory: the toolbox's configuration, and the log's lines."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, List

from snnb.pipeline import parse
from snnb.pipeline.stage import recorded
from snnb.rundir.directory import RunDirectory
from snnb.simulation.file_names import ACCURACIES, SUMS
from snnb.simulation.simulation_settings import SimulationSettings

if TYPE_CHECKING:
    from configparser import ConfigParser


def toolbox_batch(params: SimulationSettings) -> int:
    """Return the largest batch size up to the one asked for that divides the samples: the toolbox drops the rest."""
    return max(size for size in range(1, min(params.batch_size, params.samples) + 1) if params.samples % size == 0)


def toolbox_parameters(run: RunDirectory, params: SimulationSettings) -> "ConfigParser":
    """Return every parameter of the toolbox for a simulation."""
    from snnb.conversion.toolbox_config import configuration

    record = recorded(run, parse.KIND)
    if record is None:
        raise KeyError("parse is not complete")
    simulated = params.changed(batch_size=toolbox_batch(params))
    parameters = configuration(run.model, [record.params, simulated])
    if params.first:
        parameters.set("simulation", "sample_idxs_to_test", f"range({params.first}, {params.first + params.samples})")
    return parameters


def network_lines(directory: Path) -> List[str]:
    """Return lines with shape and neurons of each population, and the synapses, one per multiply-accumulate."""
    import numpy as np

    with np.load(directory / SUMS) as sums:
        shapes = {name: sums[name].shape for name in sums.files if sums[name].ndim}
    sizes = {name: int(np.prod(shape)) for name, shape in shapes.items()}
    lines = [f"{name} {'×'.join(map(str, shape))}: {sizes[name]:,} neurons" for name, shape in shapes.items()]
    synapses = json.loads((directory / ACCURACIES).read_text())["ann_multiply_accumulates_per_sample"]
    return [*lines, f"neurons, without the input: {sum(sizes.values()) - sizes['input']:,}", f"synapses: {synapses:,}"]
