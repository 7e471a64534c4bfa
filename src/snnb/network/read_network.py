"""Read a parsed model (MODEL_parsed.h5) with h5py alone; write and read the network that is simulated instead.

That network is stored in the group `spiking`. It has a subgroup for each layer that `described` lists. Attributes of
the group are `layers`, the names of the subgroups in network order; `steps`, the number of time steps that the network
is calibrated for; `weight_bits` and `pixel`, the bit width of the weights of an integer network and the value of a
pixel of 1; and `zeros`, the meaning of a weight of 0 in a pruned network. Attributes of a subgroup are `kind`, the
Keras class of the layer, and as JSON `config`, its configuration, and `inputs`, the names of the layers that it reads;
its datasets are the arrays (kernel, bias, initial_potential, threshold). A bias has a number for each channel, or for
each neuron. The configuration of a delayed projection also has `delay`, in time steps, and `input_shape`, since it may
read a later layer; its bias is the dataset `delayed_bias`. The configuration of a population with a neuron model has
`spikes`; the numbers of the model (`snnb.network.neuron.Neuron`) are the datasets `neuron_threshold`, `neuron_leak` ….
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import h5py
import numpy as np

from snnb.core.errors import DamagedError, InputError, first_line
from snnb.core.machine import require_memory
from snnb.io.hdf5 import RAISED_BY_HDF5, json_attribute, reading, text_of, whole, write_array, writing
from snnb.network.geometry import Shape
from snnb.network.keras_file import QCFS_LEVELS, StoredLayer, write_model
from snnb.network.layers import LAYER_KINDS, REINDEXING, Layer, Weighted, configured
from snnb.network.network import INPUT, Network, Population, Projection, Reindexed, Volume
from snnb.network.neuron import FIELDS, Neuron

# Keras has no layer with a bias for each neuron: it is the shift of a batch normalisation over all axes
POSITION_BIAS = "BatchNormalization"
PARTS = {"Add", POSITION_BIAS, "Activation", "ReLU"}  # layers of a population after those with kernels
STATES = {
    "initial_potential": "initial_potential",
    "threshold": "integer_threshold",
}  # arrays of the neurons in a calibrated or integer network


def assemble(entries: Sequence[StoredLayer]) -> Network:
    """Make a network of layers in network order, the input first.

    The layers that an `Add` reads are projections of one population. A batch normalisation over all axes after it, or
    after one layer without activation, adds a bias to each neuron of that population, an `Activation` or `ReLU` is its
    activation.

    Raise `InputError` if a layer is of an unknown class, or does not fit its inputs, `ResourceError` if the neurons of
    a layer do not fit into memory.
    """
    volumes: Dict[str, Volume] = {}
    for entry in entries:
        try:
            volume = volumes[entry.name] = _volume(entry, volumes)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
            raise InputError(f"layer {entry.name} ({entry.kind}): {error}") from error
        require_memory(8 * volume.size, f"the {volume.size:,} neurons of layer {entry.name}")
    absorbed = {name for entry in entries if entry.kind in PARTS for name in entry.inputs}
    return Network(tuple(volume for name, volume in volumes.items() if name not in absorbed))


def _timed(entry: StoredLayer, population: Population) -> Population:
    """Return the population with the properties of its neurons that differ from the defaults."""
    start, threshold = (entry.arrays.get(name) for name in STATES)
    window = None if "window" not in entry.config else tuple(entry.config["window"])
    neuron = None
    if "spikes" in entry.config:
        numbers = {name: entry.arrays[f"neuron_{name}"] for name in FIELDS if f"neuron_{name}" in entry.arrays}
        neuron = Neuron.of(numbers, spikes=bool(entry.config["spikes"]))
        neuron.check(population.shape)
    return replace(population, initial_potential=start, integer_threshold=threshold, window=window, neuron=neuron)


def _volume(entry: StoredLayer, volumes: Mapping[str, Volume]) -> Volume:
    if "delay" in entry.config:  # the volume may come later
        read = [Volume(name, tuple(entry.config["input_shape"])) for name in entry.inputs]
    else:
        read = [volumes[name] for name in entry.inputs]
    if entry.kind == "InputLayer":
        return Volume(INPUT, tuple(entry.config["batch_input_shape"][1:]))
    if entry.kind in REINDEXING:
        reindexing = configured(REINDEXING[entry.kind], entry.config, entry.name)
        return Reindexed(
            entry.name, reindexing.output_shape([volume.shape for volume in read]), reindexing, entry.inputs
        )
    if entry.kind not in PARTS:
        return _timed(entry, _population(entry, *read))
    terms = [volume for volume in read if isinstance(volume, Population)]
    first = terms[0]
    if entry.kind == "Add":
        projections = tuple(projection for term in terms for projection in term.projections)
        bias = np.asarray(sum(np.asarray(term.bias) for term in terms), np.float32)
        first = replace(first, kind=entry.kind, projections=projections, bias=bias)
    elif entry.kind == POSITION_BIAS:
        first = replace(first, bias=np.asarray(first.bias) + entry.arrays["beta"][0])
    elif entry.kind == "Activation":
        first = replace(first, activation=str(entry.config["activation"]))
    else:
        limit = entry.config.get("max_value")
        first = replace(first, activation="relu", max_value=None if limit is None else float(limit))
    return _timed(entry, replace(first, name=entry.name))


def _population(entry: StoredLayer, source: Volume) -> Population:
    layer: Layer = configured(LAYER_KINDS[entry.kind], entry.config, entry.name)
    geometry = layer.geometry(source.shape)
    kernel, bias, activation = None, None, "linear"
    if layer.KERNEL is not None:
        kernel = _array(entry, layer.KERNEL, layer.kernel_shape(geometry))
    if isinstance(layer, Weighted):
        bias, activation = np.zeros(geometry.filters, np.float32), layer.activation
        if layer.use_bias:
            of_neurons = np.ndim(entry.arrays.get("bias", ())) > 1
            bias = _array(entry, "bias", geometry.shape if of_neurons else (geometry.filters,))
    delay, later = int(entry.config.get("delay", 0)), None
    if "delayed_bias" in entry.arrays:
        later = _array(entry, "delayed_bias", (geometry.filters,))
    projection = Projection(source.name, layer, geometry, kernel, delay, later)
    return Population(entry.name, geometry.shape, entry.kind, (projection,), bias, activation)


def _array(entry: StoredLayer, name: str, shape: Shape) -> np.ndarray:
    """Return an array of a layer; raise `ValueError` if it has another shape."""
    array = entry.arrays[name]
    if array.shape != shape:
        raise ValueError(f"{name} has the shape {array.shape}, its configuration and input require {shape}")
    return array


def described(network: Network, *, for_keras: bool = False) -> List[StoredLayer]:
    """Return the layers of a network, so that `assemble` makes an equal one.

    A population of several projections becomes a layer for each, named `NAME_0`, `NAME_1` …, their sum, and an
    activation. `for_keras`, a bias of neurons is a layer, and the properties of neurons are left out.
    """
    shapes = {volume.name: volume.shape for volume in network.volumes}
    layers: List[StoredLayer] = []
    for volume in network.volumes:
        if isinstance(volume, Reindexed):
            layers.append(StoredLayer(volume.name, volume.layer.kind, volume.layer.model_dump(), volume.inputs, {}))
        elif not isinstance(volume, Population):
            layers.append(StoredLayer(volume.name, "InputLayer", {"batch_input_shape": (None, *volume.shape)}, (), {}))
        elif for_keras:
            layers += _layers_of(volume, shapes, for_keras=True)
        else:
            *parts, end = _layers_of(volume, shapes, for_keras=False)
            states = {name: getattr(volume, field) for name, field in STATES.items()}
            config: Dict[str, object] = {} if volume.window is None else {"window": volume.window}
            if volume.neuron is not None:
                config["spikes"] = volume.neuron.spikes
                states.update({f"neuron_{name}": values for name, values in volume.neuron.given.items()})
            states = {name: values for name, values in states.items() if values is not None}
            layers += [*parts, end._replace(arrays={**end.arrays, **states}, config={**end.config, **config})]
    return layers


def _layers_of(population: Population, shapes: Mapping[str, Shape], *, for_keras: bool) -> Iterator[StoredLayer]:
    """Yield the layers of a population; see `described`."""
    name, bias = population.name, population.bias
    shift = bias if for_keras and bias is not None and bias.ndim > 1 else None
    has_parts = len(population.projections) > 1 or population.max_value is not None or shift is not None
    names = [f"{name}_{i}" for i in range(len(population.projections))] if has_parts else [name]
    bias = None if shift is not None else bias
    for part, projection in zip(names, population.projections):
        layer, arrays = projection.layer, {}
        config = layer.keras_config if for_keras else layer.model_dump(exclude_none=True)
        if isinstance(layer, Weighted):
            assert layer.KERNEL is not None
            assert projection.kernel is not None
            config.update(use_bias=bias is not None, activation="linear" if has_parts else population.activation)
            arrays[layer.KERNEL] = projection.kernel
            if bias is not None:
                arrays["bias"], bias = bias, None
        if projection.delay:
            config.update(delay=projection.delay, input_shape=shapes[projection.input])
        if projection.bias is not None:
            arrays["delayed_bias"] = projection.bias
        yield StoredLayer(part, layer.kind, config, (projection.input,), arrays)
    if len(names) > 1:
        yield StoredLayer(f"{name}_sum", "Add", {}, tuple(names), {})
        names = [f"{name}_sum"]
    if shift is not None:
        beta = shift[np.newaxis]
        arrays = {"beta": beta, "moving_mean": np.zeros_like(beta), "moving_variance": np.ones_like(beta)}
        config = {"axis": [1, 2, 3], "epsilon": 0.0, "scale": False}
        yield StoredLayer(f"{name}_bias", POSITION_BIAS, config, tuple(names), arrays)
        names = [f"{name}_bias"]
    if population.max_value is not None:
        yield StoredLayer(name, "ReLU", {"max_value": population.max_value}, tuple(names), {})
    elif has_parts:
        yield StoredLayer(name, "Activation", {"activation": population.activation}, tuple(names), {})


def write_parsed(network: Network, path: Path, name: str) -> None:
    """Write a converted network as a Keras model of this name, which Keras and snntoolbox load."""
    write_model(path, name, described(network, for_keras=True), levels=network.levels, compiled=True)


ATTRIBUTES = ("steps", "weight_bits", "pixel", "zeros")
SPIKING = "spiking"  # group of the network that is simulated instead of the parsed model
BROKEN = (*RAISED_BY_HDF5, IndexError, AttributeError)


def read_network(path: Path, *, trained: bool = False) -> Network:
    """Read a parsed model, which Keras wrote with `model.save`, with all its weights.

    If the file has the group `spiking`, see `write_spiking`, that network is returned, or with `trained` the network of
    the Keras model, which is functional and has one input. Raise `InputError` if the file is missing or damaged, or has
    a layer of an unknown class, `ResourceError` if the neurons of a layer do not fit into memory.
    """
    with reading(path) as file:
        try:
            if SPIKING in file and not trained:
                return _read_stored(file[SPIKING])
            levels = file.attrs.get(QCFS_LEVELS)
            parsed = assemble(_entries(path, file))
            return replace(parsed, levels=None if levels is None else int(levels))
        except DamagedError:
            raise
        except InputError as error:
            raise DamagedError(path, str(error)) from error
        except BROKEN as error:
            raise DamagedError(
                path, f"not a parsed Keras model ({type(error).__name__}: {first_line(error)})"
            ) from error


def read_networks(path: Path) -> Tuple[Network, Optional[Network]]:
    """Read the network that is simulated, and the analogue one that was trained.

    They are the same object unless the file has a spiking network. A network from a NIR file has no
    analogue network: None. See `read_network` for the file and the errors.
    """
    network = read_network(path)
    if network.trained_spiking:
        return network, None
    with reading(path) as file:
        has_spiking = SPIKING in file
    return network, read_network(path, trained=True) if has_spiking else network


def spiking_attributes(path: Path) -> Dict[str, int]:
    """Return `steps` and `weight_bits` of the spiking network in a parsed model's file, as far as it has them."""
    with reading(path) as file:
        attributes = file[SPIKING].attrs if SPIKING in file else {}
        return {name: int(attributes[name]) for name in ("steps", "weight_bits") if name in attributes}


def write_network(network: Network, group: h5py.Group) -> None:
    """Write a network into an empty group; see the head of this file."""
    entries = described(network)
    group.attrs["layers"] = json.dumps([entry.name for entry in entries])
    for name in ATTRIBUTES:
        if getattr(network, name) is not None:
            group.attrs[name] = getattr(network, name)
    for entry in entries:
        layer = group.create_group(entry.name)
        layer.attrs["kind"] = entry.kind
        layer.attrs["config"] = json.dumps(entry.config)
        layer.attrs["inputs"] = json.dumps(entry.inputs)
        for name, values in entry.arrays.items():
            write_array(layer, name, values)


def write_spiking(network: Network, path: Path) -> None:
    """Write a network into the file of a parsed model, instead of which it is simulated; create a missing file.

    It replaces a spiking network in the file.
    """
    with writing(path, "r+" if path.exists() else "w") as file:
        if SPIKING in file:
            del file[SPIKING]
        write_network(network, file.create_group(SPIKING))


def _read_stored(group: h5py.Group) -> Network:
    """Read a network that `write_network` has written, its weights into memory."""
    entries = []
    for name in json.loads(group.attrs["layers"]):
        layer = group[name]
        config, inputs = json.loads(layer.attrs["config"]), json.loads(layer.attrs["inputs"])
        arrays = {key: whole(dataset) for key, dataset in layer.items()}
        entries.append(StoredLayer(name, layer.attrs["kind"], config, tuple(inputs), arrays))
    written = {name: group.attrs[name] for name in ATTRIBUTES if name in group.attrs}
    attributes: Dict[str, Any] = {k: v if isinstance(v, str) else int(v) for k, v in written.items()}
    return replace(assemble(entries), **attributes)


def _entries(path: Path, file: h5py.Group) -> List[StoredLayer]:
    names: Dict[str, str] = {}  # Keras's names of layers -> names here: the input is always `input`
    layers: List[StoredLayer] = []
    for entry in json_attribute(file, "model_config", path)["config"]["layers"]:
        name, kind, uses = str(entry["config"]["name"]), str(entry["class_name"]), entry["inbound_nodes"]
        names[name] = INPUT if kind == "InputLayer" else name
        inputs = tuple(names[tensor[0]] for tensor in uses[0]) if uses else ()
        group, arrays = file["model_weights"][name], {}
        for written in map(text_of, group.attrs.get("weight_names", [])):
            short = written.rsplit("/", 1)[-1].split(":")[0]  # `kernel`, `depthwise_kernel`, `bias`
            arrays[short] = whole(group[written]).astype(np.float32, copy=False)
        layers.append(StoredLayer(names[name], kind, entry["config"], inputs, arrays))
    return layers
