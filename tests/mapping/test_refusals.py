"""A network that does not fit on a chip: its limit, and a chip that holds the network."""

import re

import numpy as np
import pytest

from snnb.chips.read_hardware import read_hardware
from snnb.core.errors import InputError
from snnb.mapping.map_network import map_network
from snnb.mapping.partition.initial import sequential_baseline
from snnb.mapping.traffic import MappableNetwork
from tests.graph.networks import LAYERS
from tests.graph.recorded import keras
from tests.mapping.networks import hardware, make_graph


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A position of the second convolution has 126 sources, two have 168.

    Each needs its own core of 128 axons.
    """
    source = LAYERS.Input((10, 10, 1), name="input")
    tensor = LAYERS.Conv2D(14, 3, activation="relu", name="00Conv2D_8x8x14")(source)
    model = keras.Model(source, LAYERS.Conv2D(14, 3, name="01Conv2D_6x6x14")(tensor))
    with make_graph(model, tmp_path_factory.mktemp("network")) as graph:
        yield MappableNetwork.of(graph)


def test_only_a_chip_that_holds_the_network_is_advised(network):
    """Neurons and axons alone would fit on the 25 cores of spinemap_5x5."""
    message = "126 sources of spikes, 26 more than the 100 axons"
    with pytest.raises(InputError, match=message) as error_info:
        map_network(network, hardware(axons=100))
    assert re.findall(r"; (.*) holds the network", str(error_info.value)) == ["loihi"]
    mapping = map_network(network, read_hardware("loihi"), method="sequential")
    assert mapping.partition.best.cores <= 128
    with pytest.raises(InputError, match="spinemap_5x5: has 25 cores"):
        map_network(network, read_hardware("spinemap_5x5"), method="groups")


def test_the_limit_that_fills_the_cores_is_named(network):
    chip = read_hardware("spinemap_5x5")
    sums = sequential_baseline(network, chip)
    neurons = 8 * 8 * 14
    assert (
        sums.cores >= neurons / 128 + 36 - 1
    )  # a core may have neurons of both layers
    mean = float(np.mean(sums.axons))
    assert mean / 128 > float(np.mean(sums.neurons)) / 128
    for method in ("sequential", "groups"):
        cores = f"has 25 cores, and {sums.cores} would suffice"
        message = f"{cores}, with {mean:.0f} of 128 axons in the mean; loihi holds"
        with pytest.raises(InputError, match=message):
            map_network(network, chip, method=method)


@pytest.mark.parametrize(
    ("limits", "cores", "name"),
    [((128, 1000, None), 11, "neurons"), ((2000, 1000, 20_000), 4, "synapses")],
)
def test_a_bound_names_its_limit(network, limits, cores, name):
    """896 + 504 neurons; 896 · 9 + 504 · 126 synapses."""
    required_text = f"requires at least {cores}, by the limit of {name}; "
    message = f"has 3 cores, but the network {required_text}"
    with pytest.raises(InputError, match=message):
        map_network(network, hardware(*limits, mesh=(3, 1)))
