"""Read a parsed model (MODEL_parsed.h5) with h5py alone.

The file can also hold the network that is simulated instead; it is written and read
here. That network is stored in the group `spiking`. It has a subgroup for each layer
that `list_layers` returns. Attributes of the group are `layers`, the names of the
subgroups in network order; `steps`, the number of time steps that the network is
calibrated for; `weight_bits` and `pixel`, the bit width of the weights of an integer
network and the value of a pixel of 1; and `zeros`, the meaning of a weight of 0 in a
pruned network. Attributes of a subgroup are `kind`, the Keras class of the layer, and
as JSON `config`, its configuration, and `inputs`, the names of the layers that it
reads; its datasets are the arrays (kernel, bias, initial_potential, threshold). A bias
has a number for each channel, or for each neuron. The configuration of a delayed
projection also has `delay`, in time steps, and `input_shape`, since it may read a later
layer; its bias is the dataset `delayed_bias`. The configuration of a population with a
neuron model has `spikes`, and `fixed_point` if it is true; the numbers of the model
(`snnb.network.neuron.Neuron`) are the datasets `neuron_threshold`, `neuron_leak` ….
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

import h5py
import numpy as np

from snnb.core.errors import DamagedError, InputError, first_line
from snnb.core.machine import require_memory
from snnb.io.hdf5 import (
    RAISED_BY_HDF5,
    json_attribute,
    reading,
    whole,
    write_array,
    writing,
)
from snnb.network.geometry import Shape
from snnb.network.keras_file import (
    StoredLayer,
    array_names,
    levels_in,
    write_model,
)
from snnb.network.layers import LAYER_KINDS, REINDEXING, Layer, Weighted, configured
from snnb.network.network import (
    INPUT,
    Network,
    Population,
    Projection,
    Reindexed,
    Volume,
)
from snnb.network.neuron import FIELDS, Neuron

# Keras has no layer with a bias for each neuron: it is the shift of a batch
# normalisation over all axes
POSITION_BIAS = "BatchNormalization"
# Layers of a population after those with kernels
PARTS = {"Add", POSITION_BIAS, "Activation", "ReLU"}
# Arrays of the neurons in a calibrated or integer network -> field of the population
STATES = {
    "initial_potential": "initial_potential",
    "threshold": "integer_threshold",
}
NEURON_PREFIX = "neuron_"  # of the names of the arrays of a neuron model
MALFORMED_LAYER = (ValueError, TypeError, KeyError, IndexError, OverflowError)


def assemble(entries: Sequence[StoredLayer]) -> Network:
    """Make a network of layers in network order, the input first.

    The layers that an `Add` reads are projections of one population. A batch
    normalisation over all axes after it, or after one layer without activation, adds a
    bias to each neuron of that population, an `Activation` or `ReLU` is its activation.

    Raise `InputError` if a layer is of an unknown class, or does not fit its inputs,
    `ResourceError` if the neurons of a layer do not fit into memory.
    """
    volumes: Dict[str, Volume] = {}
    # Names of layers that a later one makes a part of its population
    merged_names: Set[str] = set()
    for entry in entries:
        try:
            volume = _make_volume(entry, volumes)
        except MALFORMED_LAYER as error:
            raise InputError(f"layer {entry.name} ({entry.kind}): {error}") from error
        volumes[entry.name] = volume
        subject = f"the {volume.size:,} neurons of layer {entry.name}"
        require_memory(8 * volume.size, subject)
        if entry.kind in PARTS:
            merged_names.update(entry.inputs)
    names = [name for name in volumes if name not in merged_names]
    return Network(tuple(volumes[name] for name in names))


def _make_volume(entry: StoredLayer, volumes: Mapping[str, Volume]) -> Volume:
    """Return the volume of a layer; `volumes` are those of the layers before it."""
    if "delay" in entry.config:  # the volume that it reads may come later
        input_shape = tuple(entry.config["input_shape"])
        sources = [Volume(name, input_shape) for name in entry.inputs]
    else:
        sources = [volumes[name] for name in entry.inputs]
    if entry.kind == "InputLayer":
        return Volume(INPUT, tuple(entry.config["batch_input_shape"][1:]))
    if entry.kind in REINDEXING:
        layer = configured(REINDEXING[entry.kind], entry.config, entry.name)
        shape = layer.output_shape([volume.shape for volume in sources])
        return Reindexed(entry.name, shape, layer, entry.inputs)
    is_part = entry.kind in PARTS
    make = _complete_population if is_part else _make_population
    return _set_neuron_properties(entry, make(entry, sources))


def _make_population(entry: StoredLayer, sources: Sequence[Volume]) -> Population:
    """Return the population of a layer that computes neurons of one volume."""
    [source] = sources
    layer: Layer = configured(LAYER_KINDS[entry.kind], entry.config, entry.name)
    geometry = layer.geometry(source.shape)
    bias_shape: Shape = (geometry.filters,)
    kernel = None
    if layer.KERNEL is not None:
        kernel = _array(entry, layer.KERNEL, layer.kernel_shape(geometry))
    bias = None
    activation = "linear"
    if isinstance(layer, Weighted):
        bias = np.zeros(bias_shape, np.float32)
        activation = layer.activation
        if layer.use_bias:
            is_by_neuron = np.ndim(entry.arrays.get("bias", ())) > 1
            bias = _array(entry, "bias", geometry.shape if is_by_neuron else bias_shape)
    delay = int(entry.config.get("delay", 0))
    delayed_bias = None
    if "delayed_bias" in entry.arrays:
        delayed_bias = _array(entry, "delayed_bias", bias_shape)
    projection = Projection(source.name, layer, geometry, kernel, delay, delayed_bias)
    return Population(
        entry.name,
        geometry.shape,
        entry.kind,
        (projection,),
        bias,
        activation,
    )


def _array(entry: StoredLayer, name: str, shape: Shape) -> np.ndarray:
    """Return an array of a layer; raise `ValueError` if it has another shape."""
    array = entry.arrays[name]
    if array.shape != shape:
        raise ValueError(
            f"{name} has the shape {array.shape}, its configuration and input require "
            f"{shape}"
        )
    return array


def _complete_population(entry: StoredLayer, sources: Sequence[Volume]) -> Population:
    """Return the population that a layer of `PARTS` makes of those that it reads."""
    terms = [volume for volume in sources if isinstance(volume, Population)]
    population = replace(terms[0], name=entry.name)
    if entry.kind == "Add":
        projections: List[Projection] = []
        for term in terms:
            projections += term.projections
        bias = np.asarray(sum(np.asarray(term.bias) for term in terms), np.float32)
        return replace(
            population,
            kind=entry.kind,
            projections=tuple(projections),
            bias=bias,
        )
    if entry.kind == POSITION_BIAS:
        bias = np.asarray(population.bias) + entry.arrays["beta"][0]
        return replace(population, bias=bias)
    if entry.kind == "Activation":
        return replace(population, activation=str(entry.config["activation"]))
    limit = entry.config.get("max_value")
    max_value = None if limit is None else float(limit)
    return replace(population, activation="relu", max_value=max_value)


def _set_neuron_properties(entry: StoredLayer, population: Population) -> Population:
    """Return a population with the properties of its neurons in the file."""
    window = None
    if "window" in entry.config:
        window = tuple(entry.config["window"])
    neuron = None
    if "spikes" in entry.config:
        numbers: Dict[str, np.ndarray] = {}
        for name in FIELDS:
            key = f"{NEURON_PREFIX}{name}"
            if key in entry.arrays:
                numbers[name] = entry.arrays[key]
        neuron = Neuron.from_numbers(
            numbers,
            is_spiking=bool(entry.config["spikes"]),
            fixed_point=bool(entry.config.get("fixed_point", False)),
        )
        neuron.check(population.shape)
    return replace(
        population,
        initial_potential=entry.arrays.get("initial_potential"),
        integer_threshold=entry.arrays.get("threshold"),
        window=window,
        neuron=neuron,
    )


def list_layers(network: Network, *, for_keras: bool = False) -> List[StoredLayer]:
    """Return the layers of a network, so that `assemble` makes an equal one.

    A population of several projections becomes a layer for each, named `NAME_0`,
    `NAME_1` …, their sum, and an activation. `for_keras`, a bias of neurons is a layer,
    and the properties of neurons are left out.
    """
    shapes = {volume.name: volume.shape for volume in network.volumes}
    layers: List[StoredLayer] = []
    for volume in network.volumes:
        if isinstance(volume, Reindexed):
            layer = volume.layer
            config = layer.model_dump()
            layers.append(
                StoredLayer(volume.name, layer.kind, config, volume.inputs, {}),
            )
        elif not isinstance(volume, Population):
            config = {"batch_input_shape": (None, *volume.shape)}
            layers.append(StoredLayer(volume.name, "InputLayer", config, (), {}))
        elif for_keras:
            layers += _list_population_layers(volume, shapes, for_keras=True)
        else:
            *parts, end = _list_population_layers(volume, shapes, for_keras=False)
            layers += [*parts, _add_neuron_properties(end, volume)]
    return layers


def _add_neuron_properties(layer: StoredLayer, population: Population) -> StoredLayer:
    """Return the last layer of a population with the properties of its neurons."""
    arrays = dict(layer.arrays)
    config = dict(layer.config)
    for name, field in STATES.items():
        values = getattr(population, field)
        if values is not None:
            arrays[name] = values
    if population.window is not None:
        config["window"] = population.window
    if population.neuron is not None:
        config["spikes"] = population.neuron.is_spiking
        if population.neuron.fixed_point:
            config["fixed_point"] = True
        for name, numbers in population.neuron.stored_numbers.items():
            arrays[f"{NEURON_PREFIX}{name}"] = numbers
    return layer._replace(arrays=arrays, config=config)


def _list_population_layers(
    population: Population,
    shapes: Mapping[str, Shape],
    *,
    for_keras: bool,
) -> Iterator[StoredLayer]:
    """Yield the layers of a population; see `list_layers`.

    `shapes` are those of the volumes of the network, by name.
    """
    name = population.name
    projections = population.projections
    bias = population.bias
    position_bias = None  # of each neuron, as a layer
    if for_keras and bias is not None and bias.ndim > 1:
        position_bias = bias
        bias = None
    max_value = population.max_value
    is_sum = len(projections) > 1
    has_parts = is_sum or max_value is not None or position_bias is not None
    activation = "linear" if has_parts else population.activation
    names = [name]
    if has_parts:
        names = [f"{name}_{number}" for number in range(len(projections))]
    for part_name, projection in zip(names, projections):
        part_bias = None
        if isinstance(projection.layer, Weighted):
            part_bias = bias
            bias = None  # it is in the layer of the first projection with weights
        config = {"use_bias": part_bias is not None, "activation": activation}
        layer = _projection_layer(part_name, projection, part_bias, config, for_keras)
        if projection.delay:
            delay = {
                "delay": projection.delay,
                "input_shape": shapes[projection.input],
            }
            layer = layer._replace(config={**layer.config, **delay})
        yield layer
    inputs = tuple(names)
    if is_sum:
        yield StoredLayer(f"{name}_sum", "Add", {}, inputs, {})
        inputs = (f"{name}_sum",)
    if position_bias is not None:
        yield _position_bias_layer(f"{name}_bias", position_bias, inputs)
        inputs = (f"{name}_bias",)
    if max_value is not None:
        yield StoredLayer(name, "ReLU", {"max_value": max_value}, inputs, {})
    elif has_parts:
        config = {"activation": population.activation}
        yield StoredLayer(name, "Activation", config, inputs, {})


def _projection_layer(
    name: str,
    projection: Projection,
    bias: Optional[np.ndarray],
    weighted_config: Mapping[str, object],
    for_keras: bool,
) -> StoredLayer:
    """Return the layer of a projection, its delay left out.

    `bias` is that of the population if this layer has it; `weighted_config` are
    settings of a layer with weights.
    """
    layer = projection.layer
    config = layer.keras_config if for_keras else layer.model_dump(exclude_none=True)
    arrays: Dict[str, np.ndarray] = {}
    if isinstance(layer, Weighted):
        assert layer.KERNEL is not None
        assert projection.kernel is not None
        config.update(weighted_config)
        arrays[layer.KERNEL] = projection.kernel
        if bias is not None:
            arrays["bias"] = bias
    if projection.bias is not None:
        arrays["delayed_bias"] = projection.bias
    return StoredLayer(name, layer.kind, config, (projection.input,), arrays)


def _position_bias_layer(
    name: str,
    bias: np.ndarray,
    inputs: Tuple[str, ...],
) -> StoredLayer:
    """Return the layer that adds a bias to each neuron of a population."""
    beta = bias[np.newaxis]
    arrays = {
        "beta": beta,
        "moving_mean": np.zeros_like(beta),
        "moving_variance": np.ones_like(beta),
    }
    config = {"axis": [1, 2, 3], "epsilon": 0.0, "scale": False}
    return StoredLayer(name, POSITION_BIAS, config, inputs, arrays)


def write_parsed(network: Network, path: Path, name: str) -> None:
    """Write a converted network as a Keras model that Keras and snntoolbox load.

    `name` is the name of the model.
    """
    layers = list_layers(network, for_keras=True)
    write_model(path, name, layers, levels=network.levels, with_compilation=True)


ATTRIBUTES = ("steps", "weight_bits", "pixel", "zeros")
# Group of the network that is simulated instead of the parsed model
SPIKING = "spiking"
BROKEN = (*RAISED_BY_HDF5, IndexError, AttributeError)


def read_network(path: Path, *, with_training: bool = False) -> Network:
    """Read a parsed model, which Keras wrote with `model.save`, with all its weights.

    If the file has the group `spiking`, see `write_spiking`, that network is returned,
    or with `with_training` the network of the Keras model, which is functional and has
    one input. Raise `InputError` if the file is missing or damaged, or has a layer of
    an unknown class, `ResourceError` if the neurons of a layer do not fit into memory.
    """
    with reading(path) as file:
        try:
            if SPIKING in file and not with_training:
                return _read_stored(file[SPIKING])
            levels = levels_in(file)
            network = assemble(_read_keras_layers(path, file))
            return replace(network, levels=levels)
        except DamagedError:
            raise
        except InputError as error:
            raise DamagedError(path, str(error)) from error
        except BROKEN as error:
            raise DamagedError(
                path,
                f"not a parsed Keras model ({type(error).__name__}: "
                f"{first_line(error)})",
            ) from error


def read_networks(path: Path) -> Tuple[Network, Optional[Network]]:
    """Read the network that is simulated, and the analogue one that was trained.

    They are the same object unless the file has a spiking network. A network from a NIR
    file has no analogue network: None. See `read_network` for the file and the errors.
    """
    network = read_network(path)
    if network.trained_spiking:
        return network, None
    with reading(path) as file:
        has_spiking = SPIKING in file
    return network, read_network(path, with_training=True) if has_spiking else network


def spiking_attributes(path: Path) -> Dict[str, int]:
    """Return `steps` and `weight_bits` of the spiking network in a parsed model's file.

    One that the network has not is left out.
    """
    with reading(path) as file:
        stored_attribute = file[SPIKING].attrs if SPIKING in file else {}
        names = [name for name in ("steps", "weight_bits") if name in stored_attribute]
        return {name: int(stored_attribute[name]) for name in names}


def write_network(network: Network, group: h5py.Group) -> None:
    """Write a network into an empty group; see the head of this file."""
    layers = list_layers(network)
    group.attrs["layers"] = json.dumps([layer.name for layer in layers])
    for name in ATTRIBUTES:
        if getattr(network, name) is not None:
            group.attrs[name] = getattr(network, name)
    for layer in layers:
        layer_group = group.create_group(layer.name)
        layer_group.attrs["kind"] = layer.kind
        layer_group.attrs["config"] = json.dumps(layer.config)
        layer_group.attrs["inputs"] = json.dumps(layer.inputs)
        for name, values in layer.arrays.items():
            write_array(layer_group, name, values)


def write_spiking(network: Network, path: Path) -> None:
    """Write a network that is simulated instead of the parsed model in a file.

    It replaces a spiking network in the file. A missing file is created.
    """
    with writing(path, "r+" if path.exists() else "w") as file:
        if SPIKING in file:
            del file[SPIKING]
        write_network(network, file.create_group(SPIKING))


def _read_stored(group: h5py.Group) -> Network:
    """Read a network that `write_network` has written, its weights into memory."""
    layers = []
    for name in json.loads(group.attrs["layers"]):
        layer_group = group[name]
        config = json.loads(layer_group.attrs["config"])
        inputs = tuple(json.loads(layer_group.attrs["inputs"]))
        arrays = {key: whole(dataset) for key, dataset in layer_group.items()}
        kind = layer_group.attrs["kind"]
        layers.append(StoredLayer(name, kind, config, inputs, arrays))
    attributes: Dict[str, Any] = {}
    for name in ATTRIBUTES:
        if name in group.attrs:
            stored_attribute = group.attrs[name]
            attributes[name] = (
                stored_attribute
                if isinstance(stored_attribute, str)
                else int(stored_attribute)
            )
    return replace(assemble(layers), **attributes)


def _read_keras_layers(path: Path, file: h5py.Group) -> List[StoredLayer]:
    """Read the layers of a Keras model, their weights as float32.

    The input has the name `INPUT`, whatever its name in the file.
    """
    names: Dict[str, str] = {}  # of layers here, by Keras's names
    layers: List[StoredLayer] = []
    for entry in json_attribute(file, "model_config", path)["config"]["layers"]:
        keras_name = str(entry["config"]["name"])
        kind = str(entry["class_name"])
        uses = entry["inbound_nodes"]
        name = INPUT if kind == "InputLayer" else keras_name
        names[keras_name] = name
        inputs = tuple(names[tensor[0]] for tensor in uses[0]) if uses else ()
        group = file["model_weights"][keras_name]
        arrays: Dict[str, np.ndarray] = {}
        for stored_name in array_names(group):
            # `LAYER/kernel:0`, `LAYER/depthwise_kernel:0`, `LAYER/bias:0`
            key = stored_name.rsplit("/", 1)[-1].split(":")[0]
            arrays[key] = _read_weights(path, group[stored_name])
        layers.append(StoredLayer(name, kind, entry["config"], inputs, arrays))
    return layers


def _read_weights(path: Path, dataset: h5py.Dataset) -> np.ndarray:
    """Return an array of weights as float32, all finite."""
    values = whole(dataset)
    if values.dtype.kind not in "fiu":
        raise DamagedError(path, f"{dataset.name} is not an array of numbers")
    with np.errstate(over="ignore"):
        weights = values.astype(np.float32, copy=False)
    if not np.isfinite(weights).all():
        raise DamagedError(path, f"{dataset.name} has values beyond float32, or NaN")
    return weights
