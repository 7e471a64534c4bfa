"""Compare spikes of the engine `event` with those of Lava, of networks in a folder.

    python -m tests.simulation.compare_lava FOLDER

A folder has networks `NAME.net`, and the spikes of each in one or both of these files:
`NAME.npz`, of Lava, in which layer i is i steps behind the input layer, and
`NAME.sample.npz`, of one sample with all layers in the same step. `s0`, `s1` …, bool
(*shape, steps), channels first, are the spikes of each layer with neurons. The input is
`x`: spikes likewise, or the biases (channels, height, width) of pixels. A sample may have
the pixels as `image`. In `NAME.npz`, `meta` is JSON: `kind`, which is `bias` if `x` are
biases; `reset_interval` and `reset_offset` in steps, absent or 0 without resets.

The program prints a line for each file. Its exit code is 1 if any spike differs.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from snnb.model_files.lava_dl import read_lava_dl
from snnb.network.event_samples import InputSteps
from snnb.network.network import Network
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.settings import SimulationSettings


class Comparison(NamedTuple):
    """Sums over all layers and the steps that were compared."""

    spikes: int  # of Lava
    differences: int  # outputs that differ
    outputs: int  # neurons × steps


def rows_first(values: np.ndarray) -> np.ndarray:
    """Move the channels of (channels, height, width, steps) behind the columns.

    Spikes (neurons, steps) of a vector are returned as they are.
    """
    return np.moveaxis(values, 0, 2) if values.ndim > 3 else values


def simulate(network: Network, x: np.ndarray, steps: int) -> Dict[str, np.ndarray]:
    """Return the spikes of one sample, bool (neurons, steps), by population.

    `x` are pixels (height, width, channels), or spikes (height, width, channels,
    steps).
    """
    is_constant = x.ndim == 3
    settings = SimulationSettings(
        input="constant" if is_constant else "steps",
        duration=steps,
        samples=1,
        record_spikes=1,
    )
    samples = x[np.newaxis].astype(np.float32)
    if not is_constant:
        samples = InputSteps.dense(np.moveaxis(samples, -1, 1))
    engine = EventEngine(network, settings, threads=1)
    counts = engine.simulate(samples, 0, lambda spikes, readout: None)
    trains: Dict[str, np.ndarray] = {}
    for population in network.populations:
        spikes = np.zeros((population.size, steps), bool)
        _, neuron, step = counts.spikes[population.name].T
        spikes[neuron, step] = True
        trains[population.name] = spikes
    return trains


def input_of(data: Dict[str, np.ndarray]) -> np.ndarray:
    """Return the input in a file, channels first."""
    return data["image"] if "image" in data else data["x"]


def sample_shape(data: Dict[str, np.ndarray]) -> Optional[Tuple[int, int, int]]:
    """Return the shape (height, width, channels) of the input; None of a vector."""
    x = input_of(data)
    if x.ndim < 3:
        return None
    channels, height, width = x.shape[:3]
    return height, width, channels


def pixels_of(network: Network, bias: np.ndarray) -> np.ndarray:
    """Return pixels whose biases are the whole numbers `bias` after they are truncated.

    Both have the shape (height, width, channels). The layer of the input adds its own
    bias to a factor times the pixel; half a unit away from 0 is truncated.
    """
    projection = network.populations[0].projections[0]
    factor = np.asarray(projection.kernel).reshape(-1)
    return (bias + np.sign(bias) / 2 - network.populations[0].bias) / factor


def read_input(network: Network, x: np.ndarray) -> np.ndarray:
    """Return the input of a file in the order of the network.

    Pixels or biases are (height, width, channels). Spikes are bool (height, width,
    channels, steps): Lava takes each number other than 0 as a spike.
    """
    if x.ndim == 3:
        return np.moveaxis(x, 0, 2)
    spikes = rows_first(x != 0)
    return spikes.reshape(*network.input.shape, x.shape[-1])


def lag(network: Network) -> Network:
    """Return the network in which each spike reaches the next layer a step later."""
    populations = []
    for number, population in enumerate(network.populations):
        projections = []
        for projection in population.projections:
            # Pixels are the bias of the first population, and the spikes of a
            # population reach itself in the next step anyway.
            is_bias = number == 0 and population.kind == "Scale"
            is_recurrent = projection.input == population.name
            steps = 0 if is_bias or is_recurrent else 1
            delay = projection.delay + steps
            projections.append(replace(projection, delay=delay))
        populations.append(replace(population, projections=tuple(projections)))
    return network.with_populations(populations)


def compare_sample(network: Network, data: Dict[str, np.ndarray]) -> Comparison:
    """Compare one sample from zero state, with all layers in the same step."""
    x = read_input(network, input_of(data))
    layers = list_layers(data)
    steps = layers[0].shape[-1]
    trains = simulate(network, x, steps)
    return _compare(trains, layers, [slice(0, steps)] * len(layers))


def list_layers(data: Dict[str, np.ndarray]) -> List[np.ndarray]:
    """Return the spikes of the layers with neurons in a file, bool (neurons, steps)."""
    layers = []
    for i in range(sum(key[0] == "s" for key in data)):
        spikes = rows_first(data[f"s{i}"])
        layers.append(spikes.reshape(-1, spikes.shape[-1]))
    return layers


def _compare(
    trains: Dict[str, np.ndarray],
    layers: List[np.ndarray],
    steps: List[slice],
) -> Comparison:
    """Compare spikes with some steps of each layer of Lava.

    The first of these steps is step 0 of the spikes `trains` of the engine.
    """
    spikes = 0
    differences = 0
    outputs = 0
    for train, layer, layer_steps in zip(trains.values(), layers, steps):
        lava_spikes = layer[:, layer_steps]
        our_spikes = train[:, : lava_spikes.shape[1]]
        spikes += int(lava_spikes.sum())
        differences += int((lava_spikes != our_spikes).sum())
        outputs += lava_spikes.size
    return Comparison(spikes, differences, outputs)


def compare_lava(network: Network, data: Dict[str, np.ndarray]) -> Comparison:
    """Compare the spikes of Lava, which may reset all neurons at an interval.

    Layer i is reset in step `offset` + i modulo the interval, and each interval later.
    The steps before its first reset are compared with a network whose layers are a step
    apart, and the steps after each reset with a sample, of which all layers compute the
    same step. After a reset Lava still delivers spikes that are under way, so that of a
    network with delays only the steps before the resets are compared.
    """
    meta = json.loads(str(data["meta"]))
    is_constant = meta["kind"] == "bias"
    x = read_input(network, data["x"])
    if is_constant:
        x = pixels_of(network, x)
    layers = list_layers(data)
    steps = layers[0].shape[-1]
    interval = meta.get("reset_interval", 0)
    offset = meta.get("reset_offset", 0)
    first_resets = [steps] * len(layers)
    if interval:
        first_resets = [(offset + i) % interval for i in range(len(layers))]
    trains = simulate(lag(network), x, steps)
    total = _compare(trains, layers, [slice(0, reset) for reset in first_resets])
    has_delays = any(p.delay for n in network.populations for p in n.projections)
    if not interval or has_delays:
        return total
    for start in range(offset % interval, steps, interval):
        # The first layer of a network that reads spikes reads those of the step before
        sample = x
        if not is_constant:
            sample = x[..., max(0, start - 1) :][..., :interval]
            if not start:
                sample = np.insert(sample, 0, 0, axis=-1)[..., :interval]
        trains = simulate(network, sample, interval)
        layer_steps = []
        for i in range(len(layers)):
            layer_steps.append(slice(start + i, min(start + i + interval, steps)))
        result = _compare(trains, layers, layer_steps)
        total = Comparison(*map(sum, zip(total, result)))
    return total


def main(folder: Path) -> int:
    """Compare all networks of a folder, and print a line for each file of spikes.

    Return the number of differences.
    """
    differences = 0
    for path in sorted(folder.glob("*.net")):
        for ending, compare in (
            (".npz", compare_lava),
            (".sample.npz", compare_sample),
        ):
            file = path.with_suffix(ending)
            if not file.exists():
                continue
            data = dict(np.load(str(file)))
            network = read_lava_dl(path, sample_shape(data)).network
            result = compare(network, data)
            differences += result.differences
            print(
                f"{file.name}: {result.differences} of {result.outputs:,} outputs "
                f"differ, {result.spikes:,} spikes"
            )
    return differences


if __name__ == "__main__":
    sys.exit(min(1, main(Path(sys.argv[1]))))
