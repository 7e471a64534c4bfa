"""The library in memory: load, read, convert, simulate, build the graph, map.

Each function takes values and returns values. Equal arguments give equal results, and
no file is read or written but those that the arguments name. Keywords are the options
of the command that does the same. Notes on a result are warnings of the category
`SnnbWarning`; errors are those of `snnb.core.errors`.
"""

import tempfile
import warnings
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Iterable,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

import numpy as np
from typing_extensions import Literal, Unpack

from snnb.chips.hardware import Hardware, LayerHardware
from snnb.chips.read_hardware import read_hardware
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import Conversion
from snnb.conversion.convert_network import convert_network
from snnb.core.errors import InputError, SnnbWarning, UsageError
from snnb.core.options import documented, validated
from snnb.core.progress import Progress, silent
from snnb.datasets.definition import ImageShape
from snnb.datasets.load_arrays import DatasetArrays, load_arrays
from snnb.graph import build as graph_builder
from snnb.graph.synapse_graph import SynapseGraph
from snnb.mapping import map_graph as graph_mapper
from snnb.mapping.files import Mapping
from snnb.mapping.layers import map_layers as layer_mapper
from snnb.mapping.layers.map_layers import LayerMapping
from snnb.model_files.kinds import NirSettings, is_spiking_file
from snnb.model_files.read_model import read_model
from snnb.model_files.spiking_files import read_spiking
from snnb.network.converted import ConvertedNetwork
from snnb.network.event_samples import EventSamples
from snnb.network.network import Network
from snnb.network.spike_counts import SpikeCounts
from snnb.network.trained import TrainedNetwork
from snnb.run_keywords import ConversionKeywords, NirKeywords, SimulationKeywords
from snnb.simulation import simulate as simulator
from snnb.simulation.settings import SimulationSettings
from snnb.simulation.simulate import Simulation

if TYPE_CHECKING:
    import torch

    from snnb.model_files.keras import keras

BYTE_SCALE = 255.0
LARGEST_SMALL_PIXEL = 16  # of uint8 images that are hardly meant to be value / 255
AnyNetwork = Union[ConvertedNetwork, Network]


def _warn_all(messages: Iterable[str]) -> None:
    """Issue each message as a warning at the line that calls a function of this module."""
    for message in messages:
        warnings.warn(message, SnnbWarning, stacklevel=3)


class _Images(NamedTuple):
    """Images as they are given, and their divisor."""

    values: np.ndarray  # uint8 or float32
    scale: float  # a pixel is value / scale

    @classmethod
    def of(
        cls, samples: np.ndarray, shape: Tuple[int, ...], scale: Optional[float]
    ) -> "_Images":
        """Check samples for a network whose input has this shape.

        Floats are divided by `scale` here.
        """
        values = np.asarray(samples)
        image_shape = values.shape[1:]
        if image_shape != shape and image_shape == (*shape[-1:], *shape[:-1]):
            raise InputError(
                f"samples: shape {values.shape} has the channels first, the network "
                "reads them last; give samples.transpose(0, 2, 3, 1)"
            )
        if image_shape != shape:
            raise InputError(
                f"samples: shape {values.shape} does not fit the network, which reads "
                f"{('samples', *shape)}".replace("'", "")
            )
        if values.dtype == np.uint8:
            is_small = values.size > 0 and values.max() <= LARGEST_SMALL_PIXEL
            if scale is None and is_small:
                warnings.warn(
                    f"samples: the largest pixel is {values.max()} of 255; if a pixel "
                    "is value / 16, give scale=16",
                    SnnbWarning,
                    stacklevel=3,
                )
            return cls(values, BYTE_SCALE if scale is None else float(scale))
        pixels = values.astype(np.float32, copy=False)
        if scale is not None and scale != 1:
            pixels = pixels / np.float32(scale)
        return cls(pixels, 1.0)

    @property
    def pixels(self) -> np.ndarray:
        """The images: float32 (samples, height, width, channels)."""
        return (self.values / np.float32(self.scale)).astype(np.float32)


@documented(NirSettings, NirKeywords)
def read(
    path: Union[str, Path],
    *,
    pixels: Optional[str] = None,
    **options: Unpack[NirKeywords],
) -> Union[TrainedNetwork, Network]:
    """Read a network from a file of Keras, ONNX, NIR or lava-dl.

    Parameters
    ----------
    path : str or Path
        `.h5`, `.keras`, `.onnx`, `.nir` or `.net`.
    pixels : str, optional
        Pixels that the network was trained on, as in `snnb train --pixels`: a preset of
        Keras or `mean=…,std=…`. By default those of its preprocessing layers, else
        [0, 1].

    Returns
    -------
    TrainedNetwork
        From a Keras or ONNX file; `convert` it.
    Network
        From a NIR or lava-dl file: it spikes already; `simulate` it.

    Raises
    ------
    InputError
        The file is of another kind, damaged, or has something that cannot be read.
    UsageError
        An option is not for such a file.

    Examples
    --------
    >>> snnb.read("digits.onnx")
    """
    file = Path(path)
    if not is_spiking_file(str(file)):
        if options:
            raise UsageError(f"{', '.join(options)}: only for a NIR file; omit it")
        notes: List[str] = []
        trained = read_model(file, notes.append, pixels)
        _warn_all(notes)
        return trained
    if pixels is not None:
        raise UsageError("pixels: not for a spiking network; omit it")
    model = read_spiking(file, validated(NirSettings, dict(options)))
    _warn_all(model.warnings)
    return model.network


def from_torch(
    module: "torch.nn.Module",
    example: "torch.Tensor",
    *,
    pixels: Optional[str] = None,
    dynamo: Optional[bool] = None,
) -> TrainedNetwork:
    """Read a trained module of PyTorch, through ONNX.

    Parameters
    ----------
    module : torch.nn.Module
        It is exported in evaluation mode, and left in the mode that it is in.
    example : torch.Tensor, shape (1, channels, height, width)
        An input of the module.
    pixels : str, optional
        See `read`.
    dynamo : bool, optional
        Whether PyTorch's exporter `dynamo` is used. By default as in its version.

    Returns
    -------
    TrainedNetwork
        It reads images with the channels last.

    Raises
    ------
    InputError
        The module has something that cannot be read.

    Examples
    --------
    >>> snnb.from_torch(module, torch.zeros(1, 3, 32, 32))
    """
    import torch

    choice = {} if dynamo is None else {"dynamo": dynamo}
    is_training = module.training
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "module.onnx"
        module.eval()
        try:
            torch.onnx.export(module, (example,), str(path), **choice)
        finally:
            module.train(is_training)
        notes: List[str] = []
        trained = read_model(path, notes.append, pixels)
    _warn_all(notes)
    return trained


def from_keras(model: "keras.Model", *, pixels: Optional[str] = None) -> TrainedNetwork:
    """Read a trained model of Keras in memory, of the Keras that made it.

    Parameters
    ----------
    model : keras.Model
        Of Keras 2 or 3.
    pixels : str, optional
        See `read`.

    Returns
    -------
    TrainedNetwork

    Raises
    ------
    InputError
        The model has something that cannot be read.

    Examples
    --------
    >>> snnb.from_keras(model)
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.h5"
        model.save(str(path), include_optimizer=False)
        notes: List[str] = []
        trained = read_model(path, notes.append, pixels)
    _warn_all(notes)
    return trained


def load_dataset(
    name: str,
    *,
    source: Union[str, Path, None] = None,
    shape: Optional[ImageShape] = None,
    bin_us: int = 1000,
    progress: Progress = silent,
) -> DatasetArrays:
    """Load a data set, after a download if need be.

    Parameters
    ----------
    name : str
        One of `snnb datasets`, or `folder:DIR`, `arrays:FILE.npz`, `events:DIR`,
        `steps:DIR`.
    source : str or Path, optional
        Folder with the original files. By default that of `snnb prepare`.
    shape : tuple of int, optional
        Height, width and channels to which images are resized. By default those of the
        data set.
    bin_us : int
        Time step over which events are summed, in µs.
    progress : callable
        Called with the bytes of a download that are done, and their number.

    Returns
    -------
    DatasetArrays
        `train` and `test`, each with `images` and `labels`; `class_names`, `scale`.

    Raises
    ------
    UsageError
        There is no such data set.
    InputError
        Files are missing or damaged.

    Examples
    --------
    >>> snnb.load_dataset("digits")
    <DatasetArrays digits: 1,437 training and 360 test samples, 10 classes>
    """
    notes: List[str] = []
    arrays = load_arrays(
        name,
        source=None if source is None else Path(source),
        shape=shape,
        bin_us=bin_us,
        warn=notes.append,
        progress=progress,
    )
    _warn_all(notes)
    return arrays


@documented(ConversionSettings, ConversionKeywords)
def convert(
    trained: TrainedNetwork,
    samples: np.ndarray,
    *,
    spiking_output: Optional[int] = None,
    scale: Optional[float] = None,
    progress: Progress = silent,
    **options: Unpack[ConversionKeywords],
) -> Conversion:
    """Convert a trained network to a spiking one.

    Parameters
    ----------
    trained : TrainedNetwork
    samples : ndarray, shape (samples, height, width, channels)
        Training images, on which activations are measured: uint8, or floats in the
        range that the network reads.
    spiking_output : int, optional
        Replace a softmax output by neurons that spike, for this number of time steps.
    scale : float, optional
        Divisor of the samples. By default 255 for uint8, else 1.
    progress : callable
        Called with the number of samples on which activations were measured.

    Returns
    -------
    Conversion
        A `ConvertedNetwork`: the network to simulate, the network that it stands for,
        and how it was made.

    Raises
    ------
    UsageError
        An option is not valid.
    InputError
        The network cannot be converted, or the samples do not fit it.
    VerificationError
        The converted network computes something else than the trained one.

    Examples
    --------
    >>> snnb.convert(trained, images, calibrate=16)
    """
    settings = validated(ConversionSettings, dict(options))
    images = _Images.of(samples, trained.input.shape, scale)
    is_float = images.values.dtype != np.uint8
    conversion = convert_network(
        trained,
        images.pixels,
        settings,
        pixel_scale=BYTE_SCALE if is_float else images.scale,
        unit_pixels=bool(
            images.values.min() >= 0 and images.values.max() <= images.scale
        ),
        spiking_output=spiking_output,
        progress=progress,
    )
    _warn_all(conversion.warnings)
    return conversion


@documented(SimulationSettings, SimulationKeywords)
def simulate(
    network: AnyNetwork,
    samples: Union[np.ndarray, EventSamples],
    labels: Optional[np.ndarray] = None,
    *,
    scale: Optional[float] = None,
    class_names: Optional[Sequence[str]] = None,
    reconstructs: bool = False,
    dt_ms: float = 1.0,
    progress: Progress = silent,
    **options: Unpack[SimulationKeywords],
) -> Simulation:
    """Simulate a network on samples, and count its spikes.

    Parameters
    ----------
    network : ConvertedNetwork or Network
        With a `ConvertedNetwork`, the network without spikes is evaluated too.
    samples : ndarray, shape (samples, height, width, channels), or EventSamples
        Images, uint8 or floats in the range that the network reads; or samples that
        change from step to step, as `load_dataset` returns them.
    labels : ndarray of int, shape (samples,), optional
        Class ids; without them there is no accuracy.
    scale : float, optional
        Divisor of the samples. By default 255 for uint8, else 1.
    class_names : sequence of str, optional
        By default the numbers of the outputs.
    reconstructs : bool
        Whether the output is an image like the input, as that of an autoencoder.
    dt_ms : float
        Length of a time step, in ms.
    progress : callable
        Called with the number of samples that are done.

    Returns
    -------
    Simulation
        Spike counts, outputs, predictions and accuracy.

    Raises
    ------
    UsageError
        An option is not valid, or does not suit the network.
    InputError
        The network cannot be simulated, or the samples or labels do not fit it.

    Examples
    --------
    >>> snnb.simulate(network, images, labels, duration=50).accuracy
    """
    if isinstance(network, TrainedNetwork):
        raise UsageError("network: a trained network has no spikes; convert it first")
    spiking = _network_of(network)
    values = {"samples": len(samples), **_defaults(spiking, samples), **options}
    settings = validated(SimulationSettings, values)
    divisor = 1.0
    if not isinstance(samples, EventSamples):
        samples, divisor = _Images.of(samples, spiking.input.shape, scale)
        needs_unit = settings.input == "poisson" or spiking.rounds_pixels
        if needs_unit and (samples.min() < 0 or samples.max() > divisor):
            raise InputError(
                f"samples: pixels of {samples.min() / divisor:g} to "
                f"{samples.max() / divisor:g}, but the network or its input needs "
                "[0, 1]; give scale"
            )
    result = simulator.simulate(
        network,
        samples,
        None if labels is None else _check_labels(labels, len(samples), spiking),
        settings=settings,
        scale=divisor,
        class_names=class_names,
        reconstructs=reconstructs,
        dt_ms=dt_ms,
        progress=progress,
    )
    _warn_all(result.warnings)
    return result


def _network_of(network: AnyNetwork) -> Network:
    """Return the spiking network."""
    return network.network if isinstance(network, ConvertedNetwork) else network


def _defaults(
    network: Network, samples: Union[np.ndarray, EventSamples]
) -> SimulationKeywords:
    """Return the options that follow from the network and the samples."""
    if isinstance(samples, EventSamples):
        coding: Literal["events", "steps"] = "events" if samples.has_counts else "steps"
        return {"input": coding, "duration": int(samples.lengths.max(initial=1))}
    return {} if network.steps is None else {"duration": network.steps}


def _check_labels(
    labels: np.ndarray, number_of_samples: int, network: Network
) -> np.ndarray:
    """Return class ids as int64, after a check."""
    ids = np.asarray(labels)
    if ids.shape != (number_of_samples,) or ids.dtype.kind not in "iu":
        raise InputError(
            f"labels: {ids.dtype} of shape {ids.shape}; give integers of shape "
            f"({number_of_samples},)"
        )
    classes = network.output.size
    if ids.size and not 0 <= ids.min() <= ids.max() < classes:
        raise InputError(
            f"labels: {ids.min()} to {ids.max()}; the network has {classes} classes, "
            "numbered from 0"
        )
    return ids.astype(np.int64)


def build_graph(
    network: AnyNetwork,
    activity: Union[Simulation, SpikeCounts, None] = None,
    *,
    pool_weight: Literal["mean", "one"] = "mean",
    path: Union[str, Path, None] = None,
    progress: Progress = silent,
) -> SynapseGraph:
    """Build the graph of all synapses, with the firing rates of a simulation.

    Parameters
    ----------
    network : ConvertedNetwork or Network
    activity : Simulation or SpikeCounts, optional
        Without it the graph has weights only, and cannot be mapped.
    pool_weight : {"mean", "one"}
        Weight of an average-pooling synapse: 1 / window size, as simulated, or 1.
    path : str or Path, optional
        File to write, as MODEL_graph.h5. By default the graph is in memory, and shares
        its kernels with the network.
    progress : callable
        Called with the number of populations that are done.

    Returns
    -------
    SynapseGraph

    Examples
    --------
    >>> snnb.build_graph(network, activity).number_of_edges()
    """
    counts = activity.counts if isinstance(activity, Simulation) else activity
    return graph_builder.build_graph(
        _network_of(network),
        counts,
        pool_weight=pool_weight,
        path=None if path is None else Path(path),
        progress=progress,
    )


def map_graph(
    graph: SynapseGraph,
    hardware: Union[str, Path, Hardware],
    *,
    method: graph_mapper.Method = "auto",
    objective: graph_mapper.Objective = graph_mapper.DEFAULT_OBJECTIVE,
    seed: int = 0,
    activity: Optional[Simulation] = None,
    progress: Progress = silent,
) -> Mapping:
    """Map a graph onto the cores of a chip, and compute the cost.

    Parameters
    ----------
    graph : SynapseGraph
        With spike counts.
    hardware : str, Path or Hardware
        Name of a description (`snnb hardware`), a YAML file, or a description.
    method : str
        Partitioning method, as in `snnb map --method`.
    objective : str
        Quantity to minimise, as in `snnb map --objective`.
    seed : int
        Random seed.
    activity : Simulation, optional
        With recorded spikes, for costs over time.
    progress : callable
        Called with the steps of the search that are done.

    Returns
    -------
    Mapping
        Core of each neuron, position of each core, and cost.

    Raises
    ------
    UsageError
        The graph has no spike counts, the chip takes layers (`map_layers`), or an
        option is not valid.
    InputError
        The network does not fit on the chip.

    Examples
    --------
    >>> snnb.map_graph(graph, "loihi2").cost.traffic.connectivity
    """
    chip = _read_hardware(hardware)
    if isinstance(chip, LayerHardware):
        raise UsageError(f"hardware: {chip.name} takes layers; use map_layers")
    mapping = graph_mapper.map_graph(
        graph,
        chip,
        method=method,
        objective=objective,
        seed=seed,
        spike_times=None if activity is None else activity.spike_times,
        progress=progress,
    )
    _warn_all([*mapping.warnings, *mapping.notes])
    return mapping


def map_layers(
    network: AnyNetwork,
    hardware: Union[str, Path, LayerHardware],
    activity: Simulation,
) -> LayerMapping:
    """Map the layers of a network onto a chip with a core for each layer.

    Parameters
    ----------
    network : ConvertedNetwork or Network
    hardware : str, Path or LayerHardware
        Name of a description (`snnb hardware`), a YAML file, or a description.
    activity : Simulation
        Of the network, for the cost; with recorded spikes also for the busiest core.

    Returns
    -------
    LayerMapping
        Core of each layer, and cost.

    Raises
    ------
    UsageError
        The chip takes neurons (`map_graph`).
    InputError
        The layers do not fit on the cores.

    Examples
    --------
    >>> snnb.map_layers(network, "speck2e", activity).cost.layers
    """
    chip = _read_hardware(hardware)
    if isinstance(chip, Hardware):
        raise UsageError(f"hardware: {chip.name} takes neurons; use map_graph")
    spiking = _network_of(network)
    mapping = layer_mapper.map_layers(
        spiking,
        graph_builder.build_graph(spiking, activity.counts),
        chip,
        spike_times=activity.spike_times,
    )
    _warn_all(mapping.notes)
    return mapping


def _read_hardware(
    hardware: Union[str, Path, Hardware, LayerHardware],
) -> Union[Hardware, LayerHardware]:
    """Return a description, or read it."""
    if isinstance(hardware, (Hardware, LayerHardware)):
        return hardware
    return read_hardware(str(hardware))
