"""`NAME_INI.h5`: the converted network with all that its dynamics need. The toolbox's own file cannot be loaded again.

One group per layer; the attribute `layers` says in which order. Arrays (kernel, bias) are datasets; the rest, geometry
and activation, is JSON in the group's attributes.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, Dict, Tuple

import h5py
import numpy as np

from snnb.errors import InputError
from snnb.hdf5 import reading, write_array
from snnb.simulation.layers import KINDS, Layer, Network, check
from snnb.simulation.network import check_geometry

FORMAT = "snnb converted network"
VERSION = 1
REMEDY = "make it again with `snnb simulate`"


def write_ini(network: Network, path: Path, *, threshold: float, reset: str) -> None:
    """Write the network; `threshold` and `reset` hold for all its neurons, see `SimulationSettings`."""
    with h5py.File(path, "w") as file:
        file.attrs.update(format=FORMAT, version=VERSION, threshold=threshold, reset=reset, dt_ms=1.0)
        file.attrs["layers"] = json.dumps([layer.name for layer in network.layers])
        for layer in network.layers:
            group = file.create_group(layer.name)
            group.attrs["kind"] = type(layer).__name__
            for field in dataclasses.fields(layer):
                value = getattr(layer, field.name)
                if isinstance(value, np.ndarray):
                    write_array(group, field.name, value)
                elif field.name != "name":
                    group.attrs[field.name] = json.dumps(value)


def read_ini(path: Path) -> Tuple[Network, float, str]:
    """Read what `write_ini` wrote: network, threshold, reset.

    Raises
    ------
    InputError
        The file is none of these, or broken.
    """
    with reading(path, REMEDY) as file:
        if file.attrs.get("format") != FORMAT or file.attrs.get("version") != VERSION:
            raise InputError(f"{path}: no converted network of version {VERSION}; {REMEDY}")
        try:
            names = json.loads(file.attrs["layers"])
            network = Network(tuple(_layer(str(name), file[name]) for name in names))
            threshold, reset = float(file.attrs["threshold"]), str(file.attrs["reset"])
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            line = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"{path}: not a complete converted network ({line}); {REMEDY}") from None
    check(network, path)
    check_geometry(network, path)
    return network, threshold, reset


def _layer(name: str, group: h5py.Group) -> Layer:
    values: Dict[str, Any] = {key: _tuples(json.loads(text)) for key, text in group.attrs.items() if key != "kind"}
    arrays = {key: dataset[()] for key, dataset in group.items()}
    return KINDS[group.attrs["kind"]](name, **values, **arrays)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
