"""Interface of the engines, choice of an engine, and what they share: amplitudes, random numbers, spike tables."""

from dataclasses import dataclass
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Protocol, Set, Tuple, Type, Union

import numpy as np

from snnb.core.errors import InputError
from snnb.network.event_samples import InputSteps
from snnb.network.layers import DepthwiseConv2D, MaxPooling2D
from snnb.network.network import ACTIVATIONS, MEMBRANE, Network, Population, Reindexed, refuse_maximum_of_input
from snnb.simulation.settings import SimulationSettings

# Called with the output layer's activity in the next steps: its spikes, bool (samples, steps, units); and its read-out
# after each step, float32 of the same shape, or None if the engine does not provide it. That is its accumulated input,
# or of a leaky integrator the largest membrane potential so far.
Observe = Callable[[np.ndarray, Optional[np.ndarray]], None]


Samples = Union[np.ndarray, InputSteps]
CHANGING = ("events", "steps")  # codings of an input that changes from step to step: samples are `InputSteps`


@dataclass(frozen=True)
class BlockCounts:
    """Spike counts of a block of n samples; the input is among the populations if it is Poisson input."""

    # Spikes of each population's neurons after the warm-up: int (n, *shape), or (1, *shape) summed over the samples.
    counts: Dict[str, np.ndarray]
    # Read-out of the output layer after all steps, see `Observe`: float32 (n, units); None if the engine has none.
    readout: Optional[np.ndarray]
    # Spikes of each population in the last two quarters of the steps (see `late_quarters`), summed over samples and
    # neurons: int64 (populations, 2); None if the engine does not count them.
    late: Optional[np.ndarray]
    spikes: Dict[str, np.ndarray]  # of the recorded samples, see `spike_table`
    # Number of membrane potentials, in all steps, that are the largest float32 number below the threshold, of neurons
    # with a neuron model. NIR's neurons spike only above the threshold: this number is their threshold.
    ties: int = 0
    # Changes of a membrane potential from the end of a step to that of the next, after the warm-up; in the first step
    # of a sample, each neuron's. None if the engine does not count them.
    membrane_updates: Optional[int] = None


class Engine(Protocol):
    """Simulates a network, a block of samples at a time."""

    def simulate(self, x: Samples, first: int, observe: Observe) -> BlockCounts:
        """Simulate images, float32 (samples, height, width, channels) in [0, 1], or integers as constant input.

        With the input `events` or `steps`, `x` is `InputSteps`, which are silent after their last entry. `first` is the
        index of the first sample among the test samples. `observe` is called for several steps at a time.
        """


def late_quarters(duration: int) -> Tuple[int, int]:
    """Return the first step of the quarter before the last, and of the last; both are empty below four steps."""
    quarter = duration // 4
    return duration - 2 * quarter, duration - quarter


def spike_table(parts: List[np.ndarray]) -> np.ndarray:
    """Join tables of spikes, int32 `(spikes, 3)` with the columns sample, neuron, step: by sample, step, neuron."""
    table = np.concatenate([np.zeros((0, 3), np.int32), *parts])
    return table[np.lexsort((table[:, 1], table[:, 2], table[:, 0]))]


def spike_rows(spikes: np.ndarray, sample: int, step: int) -> np.ndarray:
    """Return spikes, bool (samples, steps, neurons), as a table; `sample` and `step` are the numbers of the first."""
    samples, steps, neurons = np.nonzero(spikes)
    return np.stack([samples + sample, neurons, steps + step], axis=1).astype(np.int32)


def recorded_of(settings: SimulationSettings, first: int, samples: int) -> int:
    """Return the number of samples of a block whose spike times are recorded; `first` is the block's first index."""
    return max(0, min(samples, settings.first + settings.record_spikes - first))


class Dynamics(NamedTuple):
    """The numbers with which engines integrate a `Neuron`: float32, each in the shape of the population."""

    decay: np.ndarray  # 1 - λ
    gain: np.ndarray
    offset: np.ndarray
    current_decay: np.ndarray  # 1 - κ; 1 without a synaptic current
    current_gain: np.ndarray  # 1 without a synaptic current


def dynamics(population: Population) -> Dynamics:
    """Return the numbers of a population with a neuron model."""
    neuron = population.neuron
    assert neuron is not None
    numbers = (
        1 - np.asarray(neuron.leak),
        neuron.gain,
        neuron.offset,
        1.0 if neuron.current_leak is None else 1 - np.asarray(neuron.current_leak),
        neuron.current_gain,
    )
    return Dynamics(*(np.broadcast_to(np.asarray(each, np.float32), population.shape) for each in numbers))


def is_read_by_potential(network: Network) -> bool:
    """Whether the output is a leaky integrator, whose read-out is its largest membrane potential."""
    return network.output.neuron is not None and not network.output.neuron.spikes


def has_readout(network: Network) -> bool:
    """Whether engines provide a read-out: the summed input of spiking neurons with a leak has no meaning."""
    return network.output.neuron is None or not network.output.neuron.spikes


INPUT, SOFTMAX = 0, 1  # uses of random numbers


class Streams:
    """Random numbers of consecutive samples for one purpose, drawn step after step.

    A sample's numbers come from Philox, a function of key and counter (Salmon et al. 2011, Parallel random numbers: as
    easy as 1, 2, 3): the key is (seed, sample), and the counter's highest word is the use: `INPUT` for Poisson input,
    `SOFTMAX` + i for the i-th softmax layer.
    """

    def __init__(self, seed: int, samples: range, use: int) -> None:
        counter = np.array([0, 0, 0, use], np.uint64)
        keys = [np.array([seed, sample], np.uint64) for sample in samples]
        self._generators = [np.random.Generator(np.random.Philox(key=key, counter=counter)) for key in keys]

    def uniform(self, steps: int, shape: Tuple[int, ...]) -> np.ndarray:
        """Draw numbers in [0, 1) in order of step, then neuron: float32 (samples, steps, *shape)."""
        draws: List[np.ndarray] = [g.random((steps, *shape), dtype=np.float32) for g in self._generators]
        return np.stack(draws)

    def poisson(self, x: np.ndarray, rate: float, steps: int) -> np.ndarray:
        """Draw the spikes of Poisson input for images in [0, 1]: bool (samples, steps, ...).

        Each is a spike with probability x * rate / 1000.
        """
        probability = x[:, np.newaxis] * np.float32(rate / 1000)
        spikes: np.ndarray = self.uniform(steps, x.shape[1:]) < probability
        return spikes


def spike_amplitudes(network: Network, settings: SimulationSettings) -> Dict[str, Set[float]]:
    """Return the amplitudes of the spikes that each volume passes on, by its name; constant input has no spikes."""
    amplitudes: Dict[str, Set[float]] = {}
    for volume in network.volumes:
        if isinstance(volume, Population):
            amplitudes[volume.name] = {settings.threshold}
        elif isinstance(volume, Reindexed):
            amplitudes[volume.name] = set().union(*(amplitudes[name] for name in volume.inputs))
        else:
            amplitudes[volume.name] = {float(network.pixel)} if settings.input == "poisson" else set()
    return amplitudes


Real = Type["np.floating[Any]"]


def number_type(network: Network, settings: SimulationSettings) -> Real:
    """Return float32, or float64 for an integer network whose sums may not be exact in float32.

    Raise `InputError` if they may not be exact in float64 either.
    """
    if network.weight_bits is None:
        return np.float32
    largest = max(_largest(network, population, settings) for population in network.populations)
    kinds: Tuple[Real, Real] = (np.float32, np.float64)
    for real in kinds:
        if largest < 2.0 ** (np.finfo(real).nmant + 1):
            return real
    raise InputError(f"membrane potentials may reach {largest:.3g}, not exact in float64: reduce samples or steps")


def _largest(network: Network, population: Population, settings: SimulationSettings) -> float:
    """Return a bound of the magnitude of sums and membrane potentials in the simulated time.

    In a step at most all positive weights of a neuron arrive, or all negative ones. A spike subtracts the threshold.
    """
    assert population.integer_threshold is not None
    channels = population.shape[-1]
    up, down = np.zeros(channels), np.zeros(channels)
    from_input = network.input.name in network.senders(population)
    for projection in population.projections:
        amplitude = network.pixel if from_input else 1
        if projection.kernel is None:  # a maximum, of sums over the time
            up += amplitude * settings.duration
            continue
        weights = np.asarray(projection.kernel, np.float64).reshape(-1, channels) * amplitude
        up += np.maximum(weights, 0).sum(axis=0)
        down += np.maximum(-weights, 0).sum(axis=0)
    if population.bias is not None:
        up, down = up + np.maximum(population.bias, 0), down + np.maximum(-population.bias, 0)
    start = np.zeros(1) if population.initial_potential is None else np.abs(population.initial_potential)
    once = start + 2 * population.integer_threshold + up + down
    weighted = all(p.kernel is not None for p in population.projections)
    if from_input and weighted and settings.input == "constant" and population.window is None:
        # The current is the same in every step: a potential that leaves the exact numbers never comes back.
        return float(once.max())
    resets = population.window is None and population is not network.output and settings.reset == "subtraction"
    rise = np.maximum(up - population.integer_threshold, 0) if resets else up
    return float((once + settings.duration * np.maximum(rise, down)).max())


def choose_engine(network: Network, settings: SimulationSettings) -> Tuple[str, str]:
    """Return the name of the engine that will simulate the network, and the reason for it.

    Raise `InputError` if no engine, or not the requested one, can simulate the network.
    """
    check_supported(network)
    if settings.input != "poisson":
        refuse_maximum_of_input(network)
    if settings.engine == "toolbox":
        if settings.input in CHANGING:
            raise InputError("the toolbox cannot simulate a varying input: use --engine tensorflow or event")
        for population in network.populations:
            _check_toolbox(population)
    if settings.input in CHANGING and (network.windowed or network.weight_bits is not None):
        kind = "a network with firing windows" if network.windowed else "an integer network"
        raise InputError(f"{kind} reads images, not --input {settings.input}")
    if network.windowed and settings.engine == "auto":
        return "event", "a single pass over the layers yields all spikes"
    if settings.engine in ("toolbox", "tensorflow"):
        return settings.engine, "asked for"
    reason = None if network.windowed else unsupported(network, settings)
    if settings.engine == "event":
        if reason is not None:
            raise InputError(f"{reason}: --engine event cannot simulate that; use --engine tensorflow")
        return "event", "asked for"
    if reason is not None:
        return "tensorflow", f"the faster engine event cannot simulate it: {reason}"
    return "event", "fastest engine"


def unsupported(network: Network, settings: SimulationSettings) -> Optional[str]:
    """Return the reason why the event-driven engine cannot simulate the network with these settings; None if it can.

    A projection adds rows of weights that are multiplied by the amplitude once, so all its spikes must have the same.
    """
    amplitudes = spike_amplitudes(network, settings)
    passing = network.input_volumes()
    for volume in network.volumes if settings.input in CHANGING else ():
        if isinstance(volume, Reindexed) and sum(name in passing for name in volume.inputs) > 1:
            return f"layer {volume.name} concatenates the input with itself"
    for population in network.populations:
        read = [p for p in population.projections if p.input in passing]
        if settings.input != "poisson" and any(p.layer.WEIGHTING == "maximum" for p in read):
            return f"layer {population.name} takes the maximum of an input that is not spikes"
        if settings.input == "constant" and any(p.layer.WEIGHTING == "average" and amplitudes[p.input] for p in read):
            return f"layer {population.name} averages spikes together with the constant input"
        if settings.input == "constant" and any(p.delay for p in read):
            return f"layer {population.name} reads the constant input with a delay"
        if any(len(amplitudes[name]) > 1 for name in population.inputs):
            return (
                f"layer {population.name} reads input spikes of amplitude {network.pixel} and spikes of amplitude "
                f"{settings.threshold:g}"
            )
    return None


def _check_toolbox(population: Population) -> None:
    name, use = population.name, "use --engine tensorflow or event"
    neuron = population.neuron
    if neuron is not None:
        unsupported_property = "individual thresholds and resets of neurons"
        if neuron.current_leak is not None:
            unsupported_property = "a synaptic current"
        elif (np.asarray(neuron.leak) != 1).any():
            unsupported_property = "a leak"
        raise InputError(f"layer {name}: the toolbox cannot simulate {unsupported_property}: {use}")
    if len(population.projections) > 1 or population.kind == "Add":
        raise InputError(f"layer {name}: the toolbox does not support sums of layers: {use}")
    if population.bias is not None and population.bias.ndim > 1:
        raise InputError(f"layer {name}: the toolbox has one bias for each channel, not for each position: {use}")
    if population.max_value is not None:
        raise InputError(f"layer {name}: the toolbox has no relu clipped at {population.max_value:g}: {use}")
    layer = population.only.layer
    if isinstance(layer, MaxPooling2D):
        raise InputError(f"layer {name}: the toolbox replaces max pooling by average pooling: {use}")
    if isinstance(layer, DepthwiseConv2D) and layer.dilation_rate != (1, 1) and layer.padding == "valid":
        raise InputError(f"layer {name}: the toolbox cannot dilate a depthwise convolution without padding: {use}")


def check_supported(network: Network) -> None:
    """Raise `InputError`, with the name of the layer, for a network that no engine simulates.

    An activation cannot be simulated, or the network ends in several layers, or in one without neurons.
    """
    read: Set[str] = set()
    for volume in network.volumes:
        if isinstance(volume, Population) and volume.activation not in (*ACTIVATIONS, MEMBRANE):
            raise InputError(
                f"layer {volume.name}: activation {volume.activation} cannot be simulated: use {', '.join(ACTIVATIONS)}"
            )
        read.update(name for name in getattr(volume, "inputs", ()) if name != volume.name)
    ends = [volume for volume in network.volumes if volume.name not in read]
    if len(ends) > 1:
        raise InputError(f"the network ends in {', '.join(volume.name for volume in ends)}: keep one output")
    end = ends[0] if ends else network.output  # an output in a cycle is read too
    while isinstance(end, Reindexed) and network.volume(end.inputs[0]).size == end.size:
        end = network.volume(end.inputs[0])  # another shape of the same neurons
    if end is not network.output:
        raise InputError(f"the network ends in {end.name}, which has no neurons: end in a Dense or Conv2D layer")
