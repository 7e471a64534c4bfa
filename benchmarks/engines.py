"""Compare the spike counts of the engines `event` and `tensorflow`: `python benchmarks/engines.py RUN`.

RUN is the directory of a run that is parsed. With `--exact`, weights are first rounded to multiples of 2⁻¹⁰ and pixels
to multiples of 1/16, so that float32 adds them without an error in any order. Prints one row of the Markdown table in
docs/simulation.md.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import h5py
import numpy as np
from recorded_samples import recorded_samples

from snnb.forward.analogue import choose_batch_size
from snnb.network.read_network import read_network
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.settings import SimulationSettings


def main() -> None:
    """Read the command line, simulate with both engines, and print the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--exact", action="store_true")
    given = parser.parse_args()
    x = recorded_samples(given.run, given.samples)
    [parsed] = (given.run / "parse").glob("*_parsed.h5")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / parsed.name
        shutil.copyfile(str(parsed), str(path))
        if given.exact:
            x = np.round(x * 16) / 16
            with h5py.File(str(path), "r+") as file:
                file["model_weights"].visititems(_round)
        print(compare(path, x, given.steps))


def _round(name: str, item: object) -> None:
    if isinstance(item, h5py.Dataset):
        item[...] = np.round(item[()] * 1024) / 1024


def compare(parsed: Path, x: np.ndarray, steps: int) -> str:
    """Return a row of the table; the softmax layer, which spikes at random, is left out.

    The columns are the number of samples, the number of (sample, neuron) pairs, the number that differ, the share in
    the layer in which it is largest, and the largest difference.
    """
    network, settings = (
        read_network(parsed),
        SimulationSettings(samples=len(x), duration=steps),
    )
    engines = (EventEngine(network, settings), TensorFlowEngine(network, settings))
    batch, parts = (
        choose_batch_size(network.neurons),
        {population.name: [] for population in network.populations[:-1]},
    )
    for first in range(0, len(x), batch):
        one, two = (
            engine.simulate(x[first : first + batch], first, lambda *_: None).counts
            for engine in engines
        )
        for name, differences in parts.items():
            differences.append(
                np.abs(one[name].astype(int) - two[name].astype(int)).ravel()
            )
    shares = [
        (np.concatenate(differences) > 0).mean() for differences in parts.values()
    ]
    together = np.concatenate(
        [difference for differences in parts.values() for difference in differences]
    )
    return (
        f"| `{parsed.stem}` | {len(x)} | {together.size:,} | {np.count_nonzero(together):,} | {max(shares):.3%} | "
        f"{together.max()} |"
    )


if __name__ == "__main__":
    main()
