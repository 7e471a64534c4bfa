"""`NAME_INI.h5`: the converted network with all that its dynamics need. The toolbox's own file cannot be loaded again.

One group per layer, as `snnb.network.assemble.described` lists them; the attribute `layers` says in which order. A
group's attributes are the layer's Keras class (`kind`), and in JSON its configuration (`config`) and the names of the
layers that it reads (`inputs`); its arrays (kernel, bias) are datasets.
"""

import json
from pathlib import Path
from typing import Dict, Tuple

import h5py
import numpy as np

from snnb.core.errors import InputError
from snnb.io.hdf5 import reading, write_array
from snnb.io.text import parse_json
from snnb.network.assemble import Entry, assemble, described
from snnb.network.network import Network

FORMAT = "snnb converted network"
VERSION = 2
REMEDY = "make it again with `snnb simulate`"


def write_ini(network: Network, path: Path, *, threshold: float, reset: str, initial_potential: float = 0.0) -> None:
    """Write a network.

    Parameters
    ----------
    network : Network
    path : Path
    threshold : float
    reset : {"subtraction", "zero"}
    initial_potential : float
        As a share of the threshold. These three hold for all its neurons; see `SimulationSettings`.
    """
    entries = described(network)
    with h5py.File(path, "w") as file:
        file.attrs.update(format=FORMAT, version=VERSION, threshold=threshold, reset=reset, dt_ms=1.0)
        file.attrs["initial_potential"] = initial_potential
        file.attrs["layers"] = json.dumps([entry.name for entry in entries])
        for entry in entries:
            group = file.create_group(entry.name)
            group.attrs["kind"] = entry.kind
            group.attrs["config"] = json.dumps(entry.config)
            group.attrs["inputs"] = json.dumps(entry.inputs)
            for name, values in entry.arrays.items():
                write_array(group, name, np.asarray(values))


def read_ini(path: Path) -> Tuple[Network, float, str, float]:
    """Read what `write_ini` wrote: network, threshold, reset, initial potential.

    Raises
    ------
    InputError
        The file is none of these, or broken.
    """
    with reading(path, REMEDY) as file:
        if file.attrs.get("format") != FORMAT or file.attrs.get("version") != VERSION:
            raise InputError(f"{path}: no converted network of version {VERSION}; {REMEDY}")
        try:
            names = parse_json(file.attrs["layers"], f"{path}: the list of layers", REMEDY)
            entries = [_entry(str(name), file[name], path) for name in names]
            threshold, reset = float(file.attrs["threshold"]), str(file.attrs["reset"])
            start = float(file.attrs.get("initial_potential", 0.0))  # older files have none
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            line = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"{path}: not a complete converted network ({line}); {REMEDY}") from None
    return assemble(path, entries), threshold, reset, start


def _entry(name: str, group: h5py.Group, path: Path) -> Entry:
    attributes = dict(group.attrs)
    kind, config, inputs = attributes.pop("kind"), attributes.pop("config"), attributes.pop("inputs")
    config, inputs = (parse_json(text, f"{path}: layer {name}", REMEDY) for text in (config, inputs))
    if attributes or not isinstance(kind, str) or not isinstance(config, dict) or not isinstance(inputs, list):
        raise ValueError(f"layer {name} is described in another way")
    return Entry(name, kind, config, tuple(str(source) for source in inputs), _arrays(name, group))


def _arrays(name: str, group: h5py.Group) -> Dict[str, np.ndarray]:
    arrays = {key: dataset[()] for key, dataset in group.items()}
    for key, values in arrays.items():
        if values.dtype != np.float32 or not np.isfinite(values).all():
            raise ValueError(f"{key} of layer {name} holds other than finite 32-bit numbers")
    return arrays
