"""Count what the engines `event` and `tensorflow` spike differently: `python benchmarks/engines.py PARSED PICTURES`.

PARSED is a parsed model (`RUN/parse/NAME_parsed.h5`), PICTURES the test pictures of its run (`RUN/dataset/x_test.npy`).
With `--exact`, weights are rounded to multiples of 2⁻¹⁰ and pixels to multiples of 1/16 before, so that float32 adds
them without an error in any order. Prints one row of a Markdown table (docs/simulation.md).
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import h5py
import numpy as np

from snnb.network.read_network import read_network
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.simulation_settings import SimulationSettings


def main() -> None:
    """Read the command line, simulate with both engines, and print the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parsed", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--exact", action="store_true")
    given = parser.parse_args()
    x = np.load(str(given.pictures), mmap_mode="r")[: given.samples].astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / given.parsed.name
        shutil.copyfile(str(given.parsed), str(path))
        if given.exact:
            x = np.round(x * 16) / 16
            with h5py.File(str(path), "r+") as file:
                file["model_weights"].visititems(_round)
        print(compare(path, x, given.steps))


def _round(name: str, item: object) -> None:
    if isinstance(item, h5py.Dataset):
        item[...] = np.round(item[()] * 1024) / 1024


def compare(parsed: Path, x: np.ndarray, steps: int) -> str:
    """Return a row: pictures, pairs of picture and neuron that differ, those of the layer with most, and by how much.

    Parameters
    ----------
    parsed : Path
        The parsed model.
    x : np.ndarray
        float32 `(pictures, …)` in [0, 1].
    steps : int
        Time steps. The softmax layer, which spikes at random, is left out.
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
