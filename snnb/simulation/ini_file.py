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
from snnb.simulation.layers import KINDS, Layer, Network, check

FORMAT = "snnb converted network"
VERSION = 1


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
                    group.create_dataset(field.name, data=value, track_times=False)
                elif field.name != "name":
                    group.attrs[field.name] = json.dumps(value)


def read_ini(path: Path) -> Tuple[Network, float, str]:
    """Read what `write_ini` wrote: network, threshold, reset.

    Raises
    ------
    InputError
        The file is none of these, or broken.
    """
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT or file.attrs["version"] != VERSION:
                raise InputError(f"{path}: no converted network of version {VERSION}: run `snnb simulate` again")
            network = Network(tuple(_layer(name, file[name]) for name in json.loads(file.attrs["layers"])))
            threshold, reset = float(file.attrs["threshold"]), str(file.attrs["reset"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a complete converted network ({error}): run `snnb simulate` again") from None
    check(network, path)
    return network, threshold, reset


def _layer(name: str, group: h5py.Group) -> Layer:
    values: Dict[str, Any] = {key: _tuples(json.loads(text)) for key, text in group.attrs.items() if key != "kind"}
    arrays = {key: dataset[()] for key, dataset in group.items()}
    return KINDS[group.attrs["kind"]](name, **values, **arrays)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
