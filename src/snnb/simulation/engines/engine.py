"""Interface of the engines, choice of an engine, and what the engines share.

They share the numbers of neurons, random numbers, amplitudes and tables of spikes.
"""

from dataclasses import dataclass
from typing import (
    Any,
    Callable,
    Dict,
    List,
    NamedTuple,
    Optional,
    Protocol,
    Set,
    Tuple,
    Type,
    Union,
)

import numpy as np

from snnb.core.errors import InputError
from snnb.network.event_samples import InputSteps
from snnb.network.layers import (
    Conv2D,
    Conv2DTranspose,
    DepthwiseConv2D,
    MaxPooling2D,
    Pooling2D,
    Scale,
)
from snnb.network.network import (
    ACTIVATIONS,
    MEMBRANE,
    Network,
    Population,
    Reindexed,
    refuse_maximum_of_input,
)
from snnb.simulation.settings import SimulationSettings

# Called with the activity of the output layer in the next steps: its spikes, bool
# (samples, steps, units); and its read-out after each step, float32 of the same shape,
# or None if the engine does not provide it. The read-out is the accumulated input of
# the layer, or of a leaky integrator its largest membrane potential so far.
Observe = Callable[[np.ndarray, Optional[np.ndarray]], None]


Samples = Union[np.ndarray, InputSteps]
# Codings of an input that changes from step to step: samples are `InputSteps`.
CHANGING_INPUTS = ("events", "steps")


@dataclass(frozen=True)
class BlockCounts:
    """Spike counts of a block of n samples.

    The input is among the populations if it is Poisson input.
    """

    # Spikes of the neurons of each population after the warm-up: int (n, *shape), or
    # (1, *shape) summed over the samples.
    counts: Dict[str, np.ndarray]
    # Read-out of the output layer after all steps, see `Observe`: float32 (n, units);
    # None if the engine has none.
    readout: Optional[np.ndarray]
    # Spikes of each population in the last two quarters of the steps (see
    # `late_quarters`), summed over samples and neurons: int64 (populations, 2); None if
    # the engine does not count them.
    late: Optional[np.ndarray]
    spikes: Dict[str, np.ndarray]  # of the recorded samples, see `spike_table`
    # Number of membrane potentials, in all steps, that are the largest float32 number
    # below the threshold, of neurons with a neuron model. NIR's neurons spike only
    # above the threshold: this number is their threshold.
    ties: int = 0
    # Changes of a membrane potential from the end of a step to the end of the next,
    # after the warm-up; each potential changes in the first step of a sample. None if
    # the engine does not count them.
    membrane_updates: Optional[int] = None


class Engine(Protocol):
    """Simulates a network, a block of samples at a time."""

    def simulate(
        self,
        x: Samples,
        first_sample: int,
        observe: Observe,
    ) -> BlockCounts:
        """Simulate images, float32 (samples, height, width, channels) in [0, 1].

        The constant input of an integer network has integers in place of them. With the
        input `events` or `steps`, `x` is `InputSteps`, which are silent after their
        last entry. `first_sample` is the index of the first sample among the test
        samples. `observe` is called for several steps at a time.
        """


def late_quarters(duration: int) -> Tuple[int, int]:
    """Return the first step of the quarter before the last, and of the last quarter.

    Both quarters are empty if there are fewer than four steps.
    """
    quarter = duration // 4
    return duration - 2 * quarter, duration - quarter


def spike_table(parts: List[np.ndarray]) -> np.ndarray:
    """Join tables of spikes, and sort the rows by sample, step and neuron.

    Tables are int32 (spikes, 3) with the columns sample, neuron and step.
    """
    table = np.concatenate([np.zeros((0, 3), np.int32), *parts])
    sample, neuron, step = table.T
    return table[np.lexsort((neuron, step, sample))]


def spike_rows(spikes: np.ndarray, first_sample: int, first_step: int) -> np.ndarray:
    """Return spikes, bool (samples, steps, neurons), as a table, see `spike_table`.

    `first_sample` and `first_step` are the numbers of the first sample and step.
    """
    samples, steps, neurons = np.nonzero(spikes)
    columns = [samples + first_sample, neurons, steps + first_step]
    return np.stack(columns, axis=1).astype(np.int32)


def count_recorded_samples(
    settings: SimulationSettings,
    first_sample: int,
    samples: int,
) -> int:
    """Return the number of samples of a block whose spike times are recorded.

    `first_sample` is the index of the first sample of the block, and `samples` their
    number.
    """
    end = settings.first + settings.record_spikes
    return max(0, min(samples, end - first_sample))


class Dynamics(NamedTuple):
    """The numbers with which engines integrate a `Neuron`.

    They are float32 arrays in the shape of the population.
    """

    leak_rate: np.ndarray  # 1 - λ
    gain: np.ndarray
    offset: np.ndarray
    current_leak_rate: np.ndarray  # 1 - κ; 1 without a synaptic current
    current_gain: np.ndarray  # 1 without a synaptic current


def dynamics(population: Population) -> Dynamics:
    """Return the numbers of a population with a neuron model."""
    neuron = population.neuron
    assert neuron is not None
    current_leak_rate: np.ndarray = np.ones(())
    if neuron.current_decay_factor is not None:
        current_leak_rate = 1 - np.asarray(neuron.current_decay_factor)
    numbers = Dynamics(
        leak_rate=1 - np.asarray(neuron.decay_factor),
        gain=np.asarray(neuron.gain),
        offset=np.asarray(neuron.offset),
        current_leak_rate=current_leak_rate,
        current_gain=np.asarray(neuron.current_gain),
    )
    arrays = []
    for values in numbers:
        float_values = np.asarray(values, np.float32)
        arrays.append(np.broadcast_to(float_values, population.shape))
    return Dynamics(*arrays)


def is_read_by_potential(network: Network) -> bool:
    """Whether the output is a leaky integrator.

    Its read-out is its largest membrane potential.
    """
    return network.output.neuron is not None and not network.output.neuron.is_spiking


def has_readout(network: Network) -> bool:
    """Whether engines provide a read-out.

    The summed input of spiking neurons with a leak has no meaning.
    """
    return network.output.neuron is None or not network.output.neuron.is_spiking


# Uses of random numbers
INPUT = 0
SOFTMAX = 1


class Streams:
    """Random numbers of consecutive samples for one purpose, drawn step after step.

    The numbers of a sample come from Philox, a function of key and counter (Salmon et
    al. 2011, Parallel random numbers: as easy as 1, 2, 3). The key is (seed, sample).
    The highest word of the counter is the use: `INPUT` for Poisson input, `SOFTMAX` + i
    for the i-th softmax layer.
    """

    def __init__(self, seed: int, samples: range, use: int) -> None:
        counter = np.array([0, 0, 0, use], np.uint64)
        self._generators = []
        for sample in samples:
            key = np.array([seed, sample], np.uint64)
            bits = np.random.Philox(key=key, counter=counter)
            self._generators.append(np.random.Generator(bits))

    def uniform(self, steps: int, shape: Tuple[int, ...]) -> np.ndarray:
        """Draw numbers in [0, 1): float32 (samples, steps, *shape).

        The numbers of a sample are drawn in order of step, then neuron.
        """
        draws: List[np.ndarray] = []
        for generator in self._generators:
            draws.append(generator.random((steps, *shape), dtype=np.float32))
        return np.stack(draws)

    def poisson(self, x: np.ndarray, rate: float, steps: int) -> np.ndarray:
        """Draw the Poisson spikes of images in [0, 1]: bool (samples, steps, ...).

        The probability of a spike is x * rate / 1000.
        """
        probability = x[:, np.newaxis] * np.float32(rate / 1000)
        spikes: np.ndarray = self.uniform(steps, x.shape[1:]) < probability
        return spikes


def spike_amplitudes(
    network: Network,
    settings: SimulationSettings,
) -> Dict[str, Set[float]]:
    """Return the amplitudes of the spikes that each volume passes on, by its name.

    Constant input has no spikes, and other input has some if it is Poisson input, or
    read by fixed-point neurons.
    """
    reads_spikes = network.fixed_point and settings.input in CHANGING_INPUTS
    amplitudes: Dict[str, Set[float]] = {}
    for volume in network.volumes:
        if isinstance(volume, Population):
            amplitudes[volume.name] = {settings.threshold}
        elif isinstance(volume, Reindexed):
            inputs = [amplitudes[name] for name in volume.inputs]
            amplitudes[volume.name] = set().union(*inputs)
        elif settings.input == "poisson" or reads_spikes:
            amplitudes[volume.name] = {float(network.pixel)}
        else:
            amplitudes[volume.name] = set()
    return amplitudes


Real = Type["np.floating[Any]"]


def number_type(network: Network, settings: SimulationSettings) -> Real:
    """Return float32, or float64 for an integer network with large sums.

    Sums in float32 may then not be exact. Fixed-point neurons need float64.

    Raise `InputError` if they may not be exact in float64 either.
    """
    if network.fixed_point:
        return np.float64
    if network.weight_bits is None:
        return np.float32
    bounds = []
    for population in network.populations:
        bounds.append(_bound_sums(network, population, settings))
    bound = max(bounds)
    types: Tuple[Real, Real] = (np.float32, np.float64)
    for real in types:
        if bound < 2.0 ** (np.finfo(real).nmant + 1):
            return real
    raise InputError(
        f"membrane potentials may reach {bound:.3g}, not exact in float64: reduce "
        "samples or steps"
    )


def _bound_sums(
    network: Network,
    population: Population,
    settings: SimulationSettings,
) -> float:
    """Return a bound of the magnitude of sums and membrane potentials.

    It holds in all steps of an integer network. In a step at most all positive weights
    of a neuron arrive, or all negative ones. A spike subtracts the threshold.
    """
    assert population.integer_threshold is not None
    threshold = population.integer_threshold
    duration = settings.duration
    input_volumes = network.input_volumes()
    # Largest increase, and largest decrease, of the sums of each channel in a step
    channels = population.shape[-1]
    increase = np.zeros(channels)
    decrease = np.zeros(channels)
    for projection in population.projections:
        amplitude = network.pixel if projection.input in input_volumes else 1
        if projection.kernel is None:  # a maximum, of sums over the time
            increase += amplitude * duration
            continue
        kernel = projection.weights().astype(np.float64)
        weights = projection.geometry.weights_of_filters(kernel) * amplitude
        increase += np.maximum(weights, 0).sum(axis=0)
        decrease += np.maximum(-weights, 0).sum(axis=0)
    if population.bias is not None:
        increase = increase + np.maximum(population.bias, 0)
        decrease = decrease + np.maximum(-population.bias, 0)
    initial = np.zeros(1)
    if population.initial_potential is not None:
        initial = np.abs(population.initial_potential)
    bound_of_step = initial + 2 * threshold + increase + decrease
    is_constant = settings.input == "constant" and all(
        projection.input in input_volumes and projection.kernel is not None
        for projection in population.projections
    )
    if is_constant and population.window is None:
        # The current is the same in every step: a potential that leaves the exact
        # numbers never comes back.
        return float(bound_of_step.max())
    is_output = population is network.output
    subtracts = settings.reset == "subtraction"
    rise = increase
    if subtracts and population.window is None and not is_output:
        rise = np.maximum(increase - threshold, 0)
    bound = bound_of_step + duration * np.maximum(rise, decrease)
    return float(bound.max())


def choose_engine(network: Network, settings: SimulationSettings) -> Tuple[str, str]:
    """Return the name of the engine that simulates a network, and the reason for it.

    Raise `InputError` if no engine, or not the requested one, can simulate the network.
    """
    check_supported(network)
    if settings.input != "poisson":
        refuse_maximum_of_input(network)
    if settings.engine == "toolbox":
        if settings.input in CHANGING_INPUTS:
            raise InputError(
                "the toolbox cannot simulate a varying input: use --engine tensorflow "
                "or event"
            )
        for population in network.populations:
            _check_toolbox(population)
    if network.fixed_point:
        _check_fixed_point(network, settings)
    if settings.input in CHANGING_INPUTS:
        kind = None
        if network.windowed:
            kind = "a network with firing windows"
        elif network.rounds_pixels:
            kind = "an integer network"
        if kind is not None:
            raise InputError(f"{kind} reads images, not --input {settings.input}")
    if network.windowed and settings.engine == "auto":
        return "event", "a single pass over the layers yields all spikes"
    if settings.engine in ("toolbox", "tensorflow"):
        return settings.engine, "asked for"
    reason = None if network.windowed else find_event_obstacle(network, settings)
    if settings.engine == "event":
        if reason is not None:
            raise InputError(
                f"{reason}: --engine event cannot simulate that; use --engine "
                "tensorflow"
            )
        return "event", "asked for"
    if reason is not None:
        return "tensorflow", f"the faster engine event cannot simulate it: {reason}"
    return "event", "fastest engine"


def _check_fixed_point(network: Network, settings: SimulationSettings) -> None:
    """Raise `InputError` for an engine without fixed-point neurons, or a wrong input.

    A layer that has the pixels as its bias reads constant input, another layer spikes.
    """
    if settings.engine == "tensorflow":
        raise InputError(
            "the engine tensorflow has no fixed-point neurons (float64): use --engine "
            "event"
        )
    first_population = network.populations[0]
    reads_pixels = isinstance(first_population.projections[0].layer, Scale)
    if reads_pixels and settings.input != "constant":
        raise InputError(
            f"layer {first_population.name} has the pixels as its bias: use --input "
            "constant and a data set of images"
        )
    if settings.input == "constant" and not reads_pixels:
        raise InputError(
            f"layer {first_population.name} reads spikes, not pixels: use --input "
            "poisson, or a data set of events"
        )


def find_event_obstacle(
    network: Network,
    settings: SimulationSettings,
) -> Optional[str]:
    """Return the reason why the engine `event` cannot simulate a network, or None.

    A projection adds rows of weights that are multiplied by the amplitude once, so all
    its spikes must have the same amplitude.
    """
    amplitudes = spike_amplitudes(network, settings)
    input_volumes = network.input_volumes()
    if settings.input in CHANGING_INPUTS:
        for volume in network.volumes:
            if isinstance(volume, Reindexed):
                input_names = [n for n in volume.inputs if n in input_volumes]
                if len(input_names) > 1:
                    return f"layer {volume.name} concatenates the input with itself"
    for population in network.populations:
        layer = f"layer {population.name}"
        from_input = [p for p in population.projections if p.input in input_volumes]
        weightings = {p.layer.WEIGHTING for p in from_input}
        if settings.input != "poisson" and "maximum" in weightings:
            return f"{layer} takes the maximum of an input that is not spikes"
        if settings.input == "constant":
            averages = [p for p in from_input if p.layer.WEIGHTING == "average"]
            if any(amplitudes[p.input] for p in averages):
                return f"{layer} averages spikes together with the constant input"
            if any(p.delay for p in from_input):
                return f"{layer} reads the constant input with a delay"
        if any(len(amplitudes[name]) > 1 for name in population.inputs):
            return (
                f"{layer} reads input spikes of amplitude {network.pixel} and spikes "
                f"of amplitude {settings.threshold:g}"
            )
    return None


def _check_toolbox(population: Population) -> None:
    """Raise `InputError` if the toolbox cannot simulate a population."""
    obstacle = _find_toolbox_obstacle(population)
    if obstacle is not None:
        raise InputError(
            f"layer {population.name}: the toolbox {obstacle}: use --engine tensorflow "
            "or event"
        )


def _find_toolbox_obstacle(population: Population) -> Optional[str]:
    """Return what the toolbox cannot do with a population, or None."""
    neuron = population.neuron
    if neuron is not None:
        if neuron.current_decay_factor is not None:
            return "cannot simulate a synaptic current"
        if (np.asarray(neuron.decay_factor) != 1).any():
            return "cannot simulate a leak"
        return "cannot simulate individual thresholds and resets of neurons"
    if len(population.projections) > 1 or population.kind == "Add":
        return "does not support sums of layers"
    if population.bias is not None and population.bias.ndim > 1:
        return "has one bias for each channel, not for each position"
    if population.max_value is not None:
        return f"has no relu clipped at {population.max_value:g}"
    layer = population.only.layer
    if isinstance(layer, Conv2DTranspose):
        return "has no transposed convolutions"
    if isinstance(layer, MaxPooling2D):
        return "replaces max pooling by average pooling"
    if isinstance(layer, Conv2D) and layer.groups > 1:
        return "has no convolutions with groups"
    if isinstance(layer, Pooling2D) and not layer.has_keras_padding:
        return f"averages with the padding valid or same, not {layer.padding}"
    if not isinstance(layer, DepthwiseConv2D):
        return None
    if layer.dilation_rate != (1, 1) and layer.padding == "valid":
        return "cannot dilate a depthwise convolution without padding"
    return None


def check_supported(network: Network) -> None:
    """Raise `InputError`, with the name of the layer, if no engine simulates a network.

    An activation cannot be simulated, or the network ends in several layers, or in one
    without neurons.
    """
    for population in network.populations:
        if population.activation not in (*ACTIVATIONS, MEMBRANE):
            raise InputError(
                f"layer {population.name}: activation {population.activation} cannot "
                f"be simulated: use {', '.join(ACTIVATIONS)}"
            )
    names_read: Set[str] = set()
    for volume in network.volumes:
        for name in getattr(volume, "inputs", ()):
            if name != volume.name:
                names_read.add(name)
    ends = [volume for volume in network.volumes if volume.name not in names_read]
    if len(ends) > 1:
        names = ", ".join(volume.name for volume in ends)
        raise InputError(f"the network ends in {names}: keep one output")
    end = ends[0] if ends else network.output  # an output in a cycle is read too
    while isinstance(end, Reindexed):
        source = network.volume(end.inputs[0])
        if source.size != end.size:
            break
        end = source  # another shape of the same neurons
    if end is not network.output:
        raise InputError(
            f"the network ends in {end.name}, which has no neurons: end in a Dense or "
            "Conv2D layer"
        )
