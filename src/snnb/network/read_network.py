"""Read a parsed model (MODEL_parsed.h5) with h5py alone; write and read the network that is simulated in its place.

That network is stored in the group `spiking`. It has a subgroup for each layer that `snnb.network.assemble.described`
lists. Attributes of the group are `layers`, the names of the subgroups in network order; `steps`, the number of time
steps that the network is calibrated for; `weight_bits` and `pixel`, the bit width of the weights of an integer network
and the value of a pixel of 1; and `zeros`, the meaning of a weight of 0 in a pruned network. Attributes of a subgroup
are `kind`, the Keras class of the layer, and as JSON `config`, its configuration, and `inputs`, the names of the layers
that it reads; its datasets are the arrays (kernel, bias, initial_potential, threshold). The configuration of a delayed
projection also has `delay`, in time steps, and `input_shape`, since it may read a later layer; its bias is the dataset
`delayed_bias`. The configuration of a population with a neuron model has `spikes`; the numbers of the model
(`snnb.network.neuron.Neuron`) are the datasets `neuron_threshold`, `neuron_leak` ….
"""

import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import h5py
import numpy as np

from snnb.core.errors import DamagedError, InputError
from snnb.io.hdf5 import RAISED_BY_HDF5, damaged, json_attribute, open_hdf5, reading, write_array
from snnb.io.keras_file import QCFS_LEVELS
from snnb.network.assemble import Entry, assemble, described
from snnb.network.geometry import Shape
from snnb.network.network import INPUT, Network

ATTRIBUTES = ("steps", "weight_bits", "pixel", "zeros")
SPIKING = "spiking"  # group of the network that is simulated in place of the parsed model
BROKEN = (*RAISED_BY_HDF5, IndexError, AttributeError)


def read_network(path: Path, *, trained: bool = False) -> Network:
    """Read a parsed model, all its weights into memory; see `open_network`."""
    with open_network(path, trained=trained) as network:
        return network.in_memory()


def read_networks(path: Path) -> Tuple[Network, Optional[Network]]:
    """Read the network that is simulated, and the analogue one that was trained.

    They are the same object unless the file has a spiking network. A network that was trained as a spiking one has no
    analogue network: None. See `open_network` for the file and the errors.
    """
    network = read_network(path)
    if network.trained_spiking:
        return network, None
    with reading(path) as file:
        has_spiking = SPIKING in file
    return network, read_network(path, trained=True) if has_spiking else network


def calibrated_steps(path: Path) -> Optional[int]:
    """Return the number of time steps that the spiking network in a parsed model's file is calibrated for."""
    with reading(path) as file:
        steps = file[SPIKING].attrs.get("steps") if SPIKING in file else None
    return None if steps is None else int(steps)


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
            write_array(layer, name, np.asarray(values))


def write_spiking(network: Network, path: Path) -> None:
    """Add a spiking network to the file of a parsed model, or replace the one it has; make a file that does not exist.

    Parameters
    ----------
    network : Network
        The network that is simulated in place of the parsed one: calibrated, or with another output.
    path : Path
        MODEL_parsed.h5.
    """
    with h5py.File(path, "a") as file:
        if SPIKING in file:
            del file[SPIKING]
        write_network(network, file.create_group(SPIKING))


@contextmanager
def open_network(path: Path, *, trained: bool = False) -> Iterator[Network]:
    """Open a parsed model, which Keras wrote with `model.save`; kernels are read on access, while the file is open.

    If the file has the group `spiking`, see `write_spiking`, that network is returned, or with `trained` the network of
    the Keras model. Raise `InputError` if the file is missing or damaged, is not a sequential or functional
    model with one input, or has a layer of an unknown class, `ResourceError` if the neurons of a layer do not fit into
    memory.
    """
    with open_hdf5(path) as file:
        try:
            if SPIKING in file and not trained:
                network = _read_stored(file[SPIKING])
            else:
                levels = file.attrs.get(QCFS_LEVELS)
                parsed = assemble(path, _entries(path, file))
                network = replace(parsed, levels=None if levels is None else int(levels))
        except BROKEN as error:
            line = (str(error).splitlines() or [type(error).__name__])[0]
            raise DamagedError(path, f"not a parsed Keras model ({type(error).__name__}: {line})") from error
        yield network


def _read_stored(group: h5py.Group) -> Network:
    """Read a network that `write_network` has written, its weights into memory."""
    path = Path(group.file.filename)
    try:
        entries = []
        for name in json.loads(group.attrs["layers"]):
            layer = group[name]
            config, inputs = json.loads(layer.attrs["config"]), json.loads(layer.attrs["inputs"])
            arrays = {key: dataset[()] for key, dataset in layer.items()}
            entries.append(Entry(name, layer.attrs["kind"], config, tuple(inputs), arrays))
        written = {name: group.attrs[name] for name in ATTRIBUTES if name in group.attrs}
        attributes: Dict[str, Any] = {k: v if isinstance(v, str) else int(v) for k, v in written.items()}
    except RAISED_BY_HDF5 as error:
        raise damaged(path, error) from error
    return replace(assemble(path, entries), **attributes)


@dataclass(frozen=True)
class StoredArray:
    """An array of a layer in the open file; see `Array`."""

    path: Path
    dataset: h5py.Dataset
    title: str  # for messages

    @property
    def shape(self) -> Shape:
        """Its shape; no data are read."""
        return tuple(self.dataset.shape)

    def __array__(self, dtype: Optional[np.dtype] = None) -> np.ndarray:
        """Read it as float32; raise InputError if a value is not finite."""
        try:
            values = np.asarray(self.dataset[()]).astype(np.float32, copy=False)
        except RAISED_BY_HDF5 as error:
            raise damaged(self.path, error) from error
        # A finite sum has finite terms, and needs no boolean array of the kernel's size.
        with np.errstate(invalid="ignore", over="ignore"):
            suspicious = not np.isfinite(values.sum())
        if suspicious and not np.isfinite(values).all():
            raise InputError(f"{self.path}: {self.title} holds NaN or infinite values; train the model again")
        return values


def _entries(path: Path, file: h5py.File) -> List[Entry]:
    model = json_attribute(file, "model_config", path)
    config = model["config"]
    entries = _sequential(config) if model["class_name"] == "Sequential" else config["layers"]
    names: Dict[str, str] = {}  # Keras's names of layers -> names here: the input is always `input`
    found: List[Entry] = []
    for entry in entries:
        name, kind = str(entry["config"]["name"]), str(entry["class_name"])
        inbound = _inbound(path, name, entry["inbound_nodes"])
        names[name] = INPUT if kind == "InputLayer" else name
        inputs = tuple(names.get(other, other) for other in inbound)
        found.append(Entry(names[name], kind, {**entry["config"]}, inputs, _arrays(path, file, name)))
    return found


def _sequential(config: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """Return the layers of a sequential model as a functional one describes them."""
    layers = list(config["layers"])
    if layers[0]["class_name"] != "InputLayer":
        shape = layers[0]["config"]["batch_input_shape"]
        layers.insert(0, {"class_name": "InputLayer", "config": {"name": INPUT, "batch_input_shape": shape}})
    chain = [None, *(layer["config"]["name"] for layer in layers)]
    return [
        {**layer, "inbound_nodes": [] if before is None else [[[before, 0, 0, {}]]]}
        for before, layer in zip(chain, layers)
    ]


def _inbound(path: Path, name: str, nodes: Sequence[Any]) -> List[str]:
    if len(nodes) > 1:
        raise InputError(f"{path}: layer {name} is used {len(nodes)} times; give each use its own layer")
    if not nodes:
        return []
    for inbound, node, tensor, *_ in nodes[0]:
        if node or tensor:
            raise InputError(
                f"{path}: layer {name} takes tensor {tensor} of use {node} of {inbound}; only the first exists"
            )
    return [entry[0] for entry in nodes[0]]


def _arrays(path: Path, file: h5py.File, layer: str) -> Dict[str, StoredArray]:
    """Return the arrays of a layer by the last part of their names: `kernel`, `depthwise_kernel`, `bias`."""
    group = file["model_weights"].get(layer)
    if not isinstance(group, h5py.Group):
        return {}
    found: Dict[str, StoredArray] = {}
    for written in group.attrs.get("weight_names", []):
        name = written.decode("utf-8") if isinstance(written, bytes) else str(written)
        array, last = group.get(name), name.rsplit("/", 1)[-1].split(":")[0]
        if isinstance(array, h5py.Dataset) and array.dtype.kind == "f" and array.shape is not None:
            found[last] = StoredArray(path, array, f"{last} of layer {layer}")
    return found
