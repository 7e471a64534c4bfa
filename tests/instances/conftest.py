"""Graphs of every kind: a population that sums layers, pruned weights, cycles with delays."""

import sys
from pathlib import Path

import numpy as np
import pytest

from snnb.model_files.kinds import NirSettings
from snnb.model_files.nir_network import read_nir
from tests import random_nir
from tests.graph.conftest import (
    counts,
    graph,
    graph_path,
    model,
    parsed_path,
    pruned_graph,
    residual_graph,
)
from tests.graph.test_spiking_graph import spiking_graph
from tests.nir_interpreter import write

sys.path.append(str(Path(__file__).parents[2] / "benchmarks" / "instances"))
__all__ = [
    "counts",
    "graph",
    "graph_path",
    "model",
    "parsed_path",
    "pruned_graph",
    "residual_graph",
]


@pytest.fixture(scope="session")
def delayed_graph(tmp_path_factory):
    """A network with cycles, in which a population is read with three delays."""
    folder = tmp_path_factory.mktemp("delayed")
    path = write(folder / "net.nir", *random_nir.network(np.random.default_rng(39)))
    with spiking_graph(
        read_nir(path, NirSettings(time_step=random_nir.DT)), folder
    ) as opened_graph:
        yield opened_graph
