"""Memories and cores of random networks on Speck 2f, as Sinabs computes them; tests/mapping compares with the file.

python sinabs_mapping.py ../../tests/fixtures/sinabs_mappings.json

Needs sinabs 3.1.3 (3.0 or later) with torch, nir, nirtorch and matplotlib; samna, which sinabs imports, is not on a
public index and is replaced by empty modules: neither memories nor mapping use it.
"""

import json
import random
import sys
import types
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, Dict, List, Optional

import torch
import torch.fx  # nirtorch expects it

NETWORKS = 300
LARGEST = 1 << 18  # weights of a layer


class Empty(types.ModuleType):
    """A module in which every name is an empty module or, if it begins with a capital letter, an empty class."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {}) if name[0].isupper() else Empty(name)


class Samna(MetaPathFinder, Loader):
    """Finds empty modules in place of samna."""

    def find_spec(
        self, name: str, path: Any = None, target: Any = None
    ) -> Optional[ModuleSpec]:
        """Return a specification for samna and what is in it."""
        return (
            ModuleSpec(name, self, is_package=True)
            if name.split(".")[0] in ("samna", "samnagui")
            else None
        )

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        """Return an empty module."""
        return Empty(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Do nothing."""


sys.meta_path.insert(0, Samna())

from sinabs.backend.dynapcnn.chips.speck2f import Speck2FConfigBuilder  # noqa: E402
from sinabs.backend.dynapcnn.dynapcnn_layer import DynapcnnLayer  # noqa: E402
from sinabs.backend.dynapcnn.mapping import get_valid_mapping  # noqa: E402
from sinabs.layers import IAFSqueeze  # noqa: E402


def random_network(draw: random.Random) -> Dict[str, Any]:
    """Return a chain of convolutions and dense layers within the documented limits of a layer."""
    side, channels = (
        draw.choice([8, 15, 28, 32, 34, 64, 96, 128]),
        draw.choice([1, 2, 3]),
    )
    network: Dict[str, Any] = {"input": [side, side, channels], "layers": []}
    wide, most = draw.choice([2, 4, 8]), draw.choice([1, 3, 5, 8])
    widths = draw.choice([[2, 10, 64, 100, 120, 512], [128, 256], [32, 64, 128, 256]])
    for _ in range(draw.randint(1, most)):
        kernel, stride = (
            draw.choice([1, 2, 3, 3, 3, 5, 7]),
            draw.choice([1, 1, 1, 2, 4]),
        )
        padding = draw.randint(0, min(kernel - 1, 3))
        output = (side + 2 * padding - kernel) // stride + 1
        filters = max(
            1, draw.choice([1, 2, 3, 4, 6, 8]) * wide * draw.choice([1, 1, 3]) // 2
        )
        if (
            side + 2 * padding < kernel
            or output > 64
            or channels * filters * kernel**2 > LARGEST
        ):
            continue
        pool = draw.choice([side for side in (1, 1, 2, 4) if output % side == 0])
        layer = {
            "filters": filters,
            "kernel": kernel,
            "stride": stride,
            "padding": padding,
            "pool": pool,
        }
        network["layers"].append({**layer, "bias": draw.random() < 0.7})
        side, channels = output // pool, filters
    for _ in range(draw.randint(0, 10 - most)):
        units = draw.choice(widths)
        if side > 16 or channels * units * side**2 > LARGEST:
            continue
        network["layers"].append({"units": units, "bias": draw.random() < 0.7})
        side, channels = 1, units
    if network["layers"]:
        network["layers"][-1].pop(
            "pool", None
        )  # after the output, which has no next core
    return network


def layers_of(network: Dict[str, Any]) -> Dict[int, DynapcnnLayer]:
    """Return the layers of Sinabs."""
    (side, _, channels), layers = network["input"], {}
    for number, spec in enumerate(network["layers"]):
        if "units" in spec:
            module: torch.nn.Module = torch.nn.Linear(
                channels * side * side, spec["units"], bias=spec["bias"]
            )
            pool = 1
        else:
            module = torch.nn.Conv2d(
                channels,
                spec["filters"],
                spec["kernel"],
                spec["stride"],
                spec["padding"],
                bias=spec["bias"],
            )
            pool = spec.get("pool", 1)
        neurons = IAFSqueeze(batch_size=1)
        layer = DynapcnnLayer(
            module, neurons, (channels, side, side), [(pool, pool)], discretize=False
        )
        channels, side = (
            layer.get_neuron_shape()[0],
            layer.get_neuron_shape()[1] // pool,
        )
        layers[number] = layer
    return layers


def main(target: Path) -> None:
    """Write the networks, the memories of each layer (kernel, neurons, biases), and the core of each or null."""
    draw, constraints = random.Random(49), Speck2FConfigBuilder.get_constraints()
    networks: List[Dict[str, Any]] = []
    while len(networks) < NETWORKS:
        network = random_network(draw)
        if not network["layers"]:
            continue
        layers = layers_of(network)
        summaries = [layer.memory_summary() for layer in layers.values()]
        network["memories"] = [
            [int(one[name]) for name in ("kernel", "neuron", "bias")]
            for one in summaries
        ]
        try:
            network["cores"] = list(get_valid_mapping(layers, constraints).values())
        except ValueError:
            network["cores"] = None
        networks.append(network)
    target.write_text(
        "[\n" + ",\n".join(json.dumps(network) for network in networks) + "\n]\n",
        encoding="utf-8",
    )
    print(
        f"{len(networks)} networks, of which {sum(one['cores'] is not None for one in networks)} fit"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
