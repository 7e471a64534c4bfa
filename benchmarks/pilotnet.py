"""Map PilotNet onto Loihi 2, beside the chip that Intel has measured.

    python benchmarks/pilotnet.py FOLDER [--page]

FOLDER has `pilotnet_lif.net` of lava-dl and `pilotnet_lif.npz`, of which `x` are the
biases that Lava makes of a picture, (3, 66, 200). The network is simulated for the 16
steps of a picture, and mapped twice: with Intel's numbers of cores of each layer, and
with `auto`. The table of both mappings and the time of the simulation are printed. With
--page, the table is also written into docs/chips.md.

The measurement is that of lava-dl at d825ac5
(tutorials/lava/lib/dl/netx/pilotnet_snn/benchmark.ipynb): one Loihi 2, 16 steps a
picture, 74 cores, 408.9 pictures a second, 0.447 W dynamic.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Dict, List

import numpy as np

from snnb import Run
from snnb.graph.synapse_graph import SynapseGraph
from snnb.mapping.files import Mapping, MappingCost
from snnb.model_files.lava_dl import read_lava_dl
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.settings import SimulationSettings
from snnb.stages.stage import StageResult

STEPS = 16  # of a picture
# Cores of the layers with neurons, by lava-dl's notebook
INTEL_CORES = (13, 25, 13, 3, 3, 2, 12, 1, 1, 1)
MEASURED_CORES = sum(INTEL_CORES)
PICTURES_PER_SECOND = 408.9
MEASURED_WATTS = 0.447
MEASURED_STEP_US = 1e6 / PICTURES_PER_SECOND / STEPS
MEASURED_STEP_UJ = MEASURED_WATTS * MEASURED_STEP_US
LAVA_STEPS = 36  # of the simulations whose time is compared
LAVA_SECONDS = 210.0  # processor time of Lava's fixed-point models for these steps
BEGIN = "<!-- pilotnet: written by `python benchmarks/pilotnet.py` -->"
END = "<!-- end of pilotnet -->"
PAGE = Path(__file__).parents[1] / "docs" / "chips.md"


def divide_layers(sizes: List[int], cores: List[int]) -> np.ndarray:
    """Return the core of each neuron, int (neurons,): layers are divided equally.

    `sizes` are the neurons of the layers, and `cores` their cores. The parts of a layer
    differ by at most one neuron: sizes 3 and 2 on 2 and 1 cores give 0, 0, 1, 2, 2.
    """
    parts = []
    first_core = 0
    for size, count in zip(sizes, cores):
        parts.append(first_core + np.arange(size) * count // size)
        first_core += count
    return np.concatenate(parts)


def read_picture(folder: Path) -> np.ndarray:
    """Return the picture, float32 (1, height, width, channels) from 0 to 1.

    Its biases are int(2 w pixel - w + b), with w = 40 and b = 36: half a step more than
    a bias, at least 0, is truncated to it again.
    """
    biases = np.load(str(folder / "pilotnet_lif.npz"))["x"]
    pixels = (biases + 0.5 + 40 - 36) / 80
    return np.moveaxis(pixels, 0, 2)[np.newaxis].astype(np.float32)


def make_run(folder: Path, directory: Path) -> Run:
    """Return a run of the network in `directory`, with the picture as its data set.

    No stage has run yet.
    """
    pictures = directory / "pictures"
    pictures.mkdir()
    np.save(str(pictures / "x_test.npy"), read_picture(folder))
    np.save(str(pictures / "y_test.npy"), np.zeros(1, np.int64))
    return Run(
        str(folder / "pilotnet_lif.net"),
        path=directory / "run",
        dataset=f"arrays:{pictures}",
    )


def open_graph(result: StageResult) -> SynapseGraph:
    """Open the graph that is the result of the stage `graph`."""
    [path] = result.directory.glob("*_graph.h5")
    return SynapseGraph.open(path)


def read_cost(result: StageResult) -> MappingCost:
    """Return the cost of the mapping that is the result of the stage `map`."""
    return Mapping.open(result.directory).cost


def seconds_per_step(folder: Path) -> float:
    """Return the median processor time of a step of the simulation, in one thread."""
    x = read_picture(folder)
    network = read_lava_dl(folder / "pilotnet_lif.net").network
    settings = SimulationSettings(duration=LAVA_STEPS, samples=1)
    engine = EventEngine(network, settings, threads=1)
    seconds = []
    for _ in range(4):  # the first compiles
        start = time.process_time()
        engine.simulate(x, 0, lambda spikes, readout: None)
        seconds.append(time.process_time() - start)
    return float(np.median(seconds[1:])) / LAVA_STEPS


def list_rows(costs: Dict[str, MappingCost]) -> List[List[str]]:
    """Return the rows of the table: measured, and estimates for the titles of `costs`."""
    cores = []
    operations = []
    spikes = []
    hops = []
    energies = []
    times = []
    for cost in costs.values():
        cores.append(f"{cost.cores.cores}")
        operation_total = np.sum(cost.per_core["synaptic_operations"])
        operations.append(f"{operation_total / STEPS:,.0f}")
        spikes.append(f"{cost.traffic.connectivity / STEPS:,.0f}")
        hops.append(f"{cost.routes.hops_unicast / STEPS:,.0f}")
        energies.append(cost.energy.energy_pj / STEPS / 1e6)
        times.append(cost.step.step_ns / 1e3)
    return [
        ["", "measured", *costs],
        ["cores", f"{MEASURED_CORES}", *cores],
        ["synaptic operations a step", "", *operations],
        ["spikes between cores a step", "", *spikes],
        ["hops a step", "", *hops],
        compare("energy a step (µJ)", MEASURED_STEP_UJ, energies),
        compare("time a step (µs)", MEASURED_STEP_US, times),
    ]


def compare(title: str, measured: float, estimates: List[float]) -> List[str]:
    """Return a row with the measurement, and estimates with their ratio to it."""
    cells = [f"{value:.1f} ({value / measured:.2f} ×)" for value in estimates]
    return [title, f"{measured:.1f}", *cells]


def markdown(rows: List[List[str]]) -> List[str]:
    """Return the lines of a table, whose first row is the head; numbers to the right."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|---|" + "---:|" * (len(rows[0]) - 1))
    return lines


def write_page(lines: List[str]) -> None:
    """Write the table into the page, between its marks."""
    page = PAGE.read_text(encoding="utf-8")
    head, rest = page.split(BEGIN)
    tail = rest.split(END)[1]
    text = "\n".join(lines)
    PAGE.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}", encoding="utf-8")


def main() -> None:
    """Print the table, and write it into the page if asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--page", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run = make_run(options.folder.absolute(), Path(scratch))
        run.simulate(duration=STEPS, samples=1)
        result = run.graph()
        with open_graph(result) as graph:
            sizes = [population.size for population in graph.layers]
            counts = [population.spike_count.sum() for population in graph.layers]
        partition = Path(scratch) / "partition.txt"
        np.savetxt(str(partition), divide_layers(sizes, list(INTEL_CORES)), fmt="%d")
        intel_mapping = run.map(hardware="loihi2", partition=partition)
        intel_cost = read_cost(intel_mapping)
        auto_mapping = run.map(hardware="loihi2", method="auto")
        auto_cost = read_cost(auto_mapping)
    costs = {"Intel's layers": intel_cost, "`auto`": auto_cost}
    neurons = sum(sizes)
    spikes = sum(counts) / STEPS
    lines = markdown(list_rows(costs))
    lines.append("")
    lines.append(
        f"{neurons:,} neurons, of which {spikes:,.0f} spike in a step of this picture."
    )
    step_ms = 1e3 * seconds_per_step(options.folder)
    lava_step_ms = 1e3 * LAVA_SECONDS / LAVA_STEPS
    ratio = lava_step_ms / step_ms
    print("\n".join(lines))
    print(
        f"simulation: {step_ms:.1f} ms of processor time a step, Lava's / {ratio:,.0f}"
    )
    if options.page:
        write_page(lines)


if __name__ == "__main__":
    main()
