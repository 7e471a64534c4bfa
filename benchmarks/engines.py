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

from snnb.network.read_network import read_network
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.simulation_settings import SimulationSettings


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

    The columns are the number of samples, the share of the (sample, neuron) pairs that differ, the share in the layer
    in which it is largest, the largest difference, and the number of pairs.
    """
    network, settings = read_network(parsed), SimulationSettings(samples=len(x), duration=steps)
    engines = (EventEngine(network, settings), TensorFlowEngine(network, settings))
    one, two = (engine.simulate(x, 0, lambda *_: None).counts for engine in engines)
    differences = [np.abs(one[name].astype(int) - two[name].astype(int)).ravel() for name in list(one)[:-1]]
    shares = [(difference > 0).mean() for difference in differences]
    together = np.concatenate(differences)
    return (
        f"| `{parsed.stem}` | {len(x)} | {(together > 0).mean():.3%} | {max(shares):.2%} | {together.max()} | "
        f"{together.size:,} pairs |"
    )


if __name__ == "__main__":
    main()
