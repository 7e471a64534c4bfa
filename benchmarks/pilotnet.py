"""Map PilotNet onto Loihi 2, beside the chip that Intel has measured.

    python benchmarks/pilotnet.py FOLDER [--page]

FOLDER has `pilotnet_lif.net` of lava-dl and `pilotnet_lif.npz`, of which `x` are the biases that Lava makes of a
picture, int16 (3, 66, 200). The network is simulated for the 16 steps of a picture, and mapped twice: with Intel's
numbers of cores of each layer, and with `auto`. With --page, the table is written into docs/mapping.md.

The measurement is that of lava-dl at d825ac5 (tutorials/lava/lib/dl/netx/pilotnet_snn/benchmark.ipynb): one Loihi 2, 16
steps a picture, 74 cores, 408.9 pictures a second, 0.447 W dynamic.
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

STEPS = 16
# Cores of the layers with neurons, by lava-dl's notebook
INTEL_CORES = (13, 25, 13, 3, 3, 2, 12, 1, 1, 1)
PICTURES_PER_SECOND = 408.9
MEASURED_WATTS = 0.447
MEASURED_STEP_US = 1e6 / PICTURES_PER_SECOND / STEPS
MEASURED_STEP_UJ = MEASURED_WATTS * MEASURED_STEP_US
LAVA_SECONDS = 210.0  # processor time of Lava's fixed-point models for 36 steps
LAVA_STEPS = 36
BEGIN = "<!-- pilotnet: written by `python benchmarks/pilotnet.py` -->"
END = "<!-- end of pilotnet -->"
PAGE = Path(__file__).parents[1] / "docs" / "mapping.md"


def divide_layers(sizes: List[int], cores: List[int]) -> np.ndarray:
    """Return the core of each neuron: equal parts of each layer, int (neurons,)."""
    parts = []
    first_core = 0
    for size, count in zip(sizes, cores):
        parts.append(first_core + np.arange(size) * count // size)
        first_core += count
    return np.concatenate(parts)


def read_picture(folder: Path) -> np.ndarray:
    """Return the picture, float32 (1, height, width, channels) from 0 to 1.

    Its biases are int(2 w pixel - w + b), with w = 40 and b = 36.
    """
    biases = np.load(str(folder / "pilotnet_lif.npz"))["x"]
    pixels = (biases + 0.5 + 40 - 36) / 80
    return np.moveaxis(pixels, 0, 2)[np.newaxis].astype(np.float32)


def make_run(folder: Path, directory: Path) -> Run:
    """Simulate the picture, and return the run with its graph."""
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
    """Open the graph of a run."""
    [path] = result.directory.glob("*_graph.h5")
    return SynapseGraph.open(path)


def read_cost(result: StageResult) -> MappingCost:
    """Return the cost of a mapping."""
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
    """Return the rows of the table: measured, and estimates of both mappings."""
    rows = [
        ["", "measured", *costs],
        ["cores", "74", *(f"{cost.cores.cores}" for cost in costs.values())],
    ]
    operations = []
    for cost in costs.values():
        total = np.sum(cost.per_core["synaptic_operations"])
        operations.append(f"{total / STEPS:,.0f}")
    rows.append(["synaptic operations a step", "", *operations])
    spikes = [f"{cost.traffic.connectivity / STEPS:,.0f}" for cost in costs.values()]
    rows.append(["spikes between cores a step", "", *spikes])
    hops = [f"{cost.routes.hops_unicast / STEPS:,.0f}" for cost in costs.values()]
    rows.append(["hops a step", "", *hops])
    energies = [cost.energy.energy_pj / STEPS / 1e6 for cost in costs.values()]
    rows.append(compare("energy a step (µJ)", MEASURED_STEP_UJ, energies))
    times = [cost.step.step_ns / 1e3 for cost in costs.values()]
    rows.append(compare("time a step (µs)", MEASURED_STEP_US, times))
    return rows


def compare(title: str, measured: float, estimates: List[float]) -> List[str]:
    """Return a row with estimates, and their ratio to what was measured."""
    cells = [f"{value:.1f} ({value / measured:.2f} ×)" for value in estimates]
    return [title, f"{measured:.1f}", *cells]


def markdown(rows: List[List[str]]) -> List[str]:
    """Return the lines of a table, numbers to the right."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|---|" + "---:|" * (len(rows[0]) - 1))
    return lines


def main() -> None:
    """Print the table, or write it into the page."""
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
        costs = {
            "Intel's layers": read_cost(
                run.map(hardware="loihi2", partition=partition)
            ),
            "`auto`": read_cost(run.map(hardware="loihi2", method="auto")),
        }
        neurons = sum(sizes)
        spikes = sum(counts) / STEPS
    lines = markdown(list_rows(costs))
    lines.append("")
    lines.append(
        f"{neurons:,} neurons, of which {spikes:,.0f} spike in a step of this picture."
    )
    step_ms = 1e3 * seconds_per_step(options.folder)
    ratio = LAVA_SECONDS / LAVA_STEPS / step_ms * 1e3
    print("\n".join(lines))
    print(
        f"simulation: {step_ms:.1f} ms of processor time a step, Lava's / {ratio:,.0f}"
    )
    if options.page:
        page = PAGE.read_text(encoding="utf-8")
        head, rest = page.split(BEGIN)
        tail = rest.split(END)[1]
        text = "\n".join(lines)
        PAGE.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
