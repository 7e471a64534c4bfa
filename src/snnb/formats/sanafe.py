"""`sanafe`: a network as a netlist of SANA-FE.

(Boyle et al., IEEE TCAD 44(8), 2025; SLAM-Lab/SANA-FE 2.1.1, src/netlist.cpp,
src/network.cpp.)

This module writes a netlist, which SANA-FE's `load_net(path, arch,
use_netlist_format=True)` reads in a third of the memory that YAML takes. `sanafe_yaml`
reads networks in YAML, and `sanafe_trace` traces of spikes.

A netlist has a line for each item; neurons count from 0 in each group:

    g 90 …                a group of 90 neurons; group k is population k of the graph
    n 2.7 bias=0.5        attributes of neuron 7 of group 2
    e 1.3->2.7 weight=1   a synapse from neuron 3 of group 1
    & 2.7@0.4             neuron 7 of group 2 is on core 4 of tile 0

All neurons are TrueNorth's (soma `truenorth`), whose sums are float64;
`leaky_integrate_fire` rounds to 1/64. Numbers are in units of the threshold, which is
1, or integers.

A synapse of SANA-FE takes a time step. By default the spikes of a connection that skips
layers pass through *relays*, neurons that spike a step after their only source; groups
of relays follow the populations, and all neurons are on the cores of tile 0, 1024 on
each. With a mapping, neurons are on its cores, without relays, since the dendrite of
the architecture delays spikes. The group of the input is then empty, because a
constant input occupies no core.
"""

from pathlib import Path
from typing import BinaryIO, Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from snnb.core.errors import ResourceError, UsageError
from snnb.formats.description import (
    refuse_fast_cycles,
    refuse_max_pooling,
    refuse_properties,
)
from snnb.formats.request import (
    TEXT_BATCH,
    Counter,
    Format,
    OnCores,
    Request,
    starts_above_zero,
)
from snnb.formats.sanafe_yaml import read, recognises
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph

LIMIT = 50_000_000  # edges; SANA-FE 2.1.1 takes about 760 bytes of memory each: 38 GB
# Neurons of a core: the dendrite `accumulator` has no more, and SANA-FE 2.1.1 writes
# over its end without a check
CORE = 1024
UNITS = "synapse_hw_name=synapse dendrite_hw_name=dendrite soma_hw_name=soma"
SOMA = "threshold=1 reset=0 reverse_reset_mode=none reset_mode"
RESETS = {"subtraction": "soft", "zero": "hard"}
NEVER = 1e30  # threshold of an output that does not spike
# Relative; a neuron that spikes only above a number has the next float32 number as
# threshold
ROUNDING = 1e-6
# Steps that the dendrite `accumulator_with_delay` adds to the one of every synapse
MOST_DELAY = 5


class _Relay(NamedTuple):
    """A group of neurons that repeat the spikes of a population some steps later."""

    group: int
    population: GraphPopulation
    delay: int  # steps after the population


class _Groups(NamedTuple):
    """The groups of a netlist: populations in the order of the graph, then relays."""

    populations: Sequence[GraphPopulation]
    relays: Sequence[_Relay]

    @property
    def sizes(self) -> List[int]:
        """Number of neurons of each group."""
        populations = [population.size for population in self.populations]
        return [*populations, *(relay.population.size for relay in self.relays)]

    @property
    def relay_neurons(self) -> int:
        """Number of neurons of all relays; each has one synapse onto it."""
        return sum(relay.population.size for relay in self.relays)

    def number(self, population: GraphPopulation) -> int:
        """Return the group of a population."""
        return self.populations.index(population)

    def source_of(self, population: GraphPopulation, steps: int) -> int:
        """Return the group whose synapses carry the spikes of a population in `steps`.

        A synapse takes one of the steps. The input has no relays if it is constant.
        """
        for relay in self.relays:
            if relay.population is population and relay.delay == steps - 1:
                return relay.group
        return self.number(population)


def write_netlist(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write groups, biases, synapses and mapping; see `Format`."""
    with path.open("wb") as file:
        if request.on_cores is None:
            _write_with_relays(file, graph, request)
        else:
            _write_mapped(file, graph, request, request.on_cores)


def _write_with_relays(file: BinaryIO, graph: SynapseGraph, request: Request) -> None:
    """Write a network whose neurons fill the cores of one tile."""
    groups = _groups_of(graph)
    counter = request.counter(graph.number_of_edges())
    for population in graph.populations:
        mode = _reset_mode(graph, population, request)
        _write_group(file, f"{population.size} {UNITS} log_spikes=1", mode)
    for relay in groups.relays:
        _write_group(file, f"{relay.population.size} {UNITS} log_spikes=0", "hard")
    for population in graph.layers:
        _write_biases(file, groups.number(population), population, request)
    for relay in groups.relays:
        source = groups.source_of(relay.population, relay.delay)
        for neuron in range(relay.population.size):
            numbers = (source, neuron, relay.group, neuron)
            file.write(b"e %d.%d->%d.%d weight=1\n" % numbers)
    for projection, steps in graph.delay_steps.items():
        ends = _Ends(
            groups.source_of(projection.source, steps),
            groups.number(projection.target),
        )
        # A spike of the input is 1.
        unit = request.amplitude if projection.source in graph.inputs else 1.0
        _write_edges(file, projection, ends, unit, counter)
    index = 0  # of a neuron in the network
    for group, size in enumerate(groups.sizes):
        for neuron in range(size):
            file.write(b"& %d.%d@0.%d\n" % (group, neuron, index // CORE))
            index += 1


def _write_mapped(
    file: BinaryIO,
    graph: SynapseGraph,
    request: Request,
    on_cores: OnCores,
) -> None:
    """Write a network whose neurons are on the cores of a mapping."""
    groups = _Groups(graph.populations, ())
    counter = request.counter(graph.number_of_edges())
    for population in graph.populations:
        size = f"{population.size} {UNITS} log_spikes=1"
        if population in graph.inputs:
            size = f"0 {UNITS}"
        _write_group(file, size, _reset_mode(graph, population, request))
    first_neuron = graph.layers[0].first
    for population in graph.layers:
        group = groups.number(population)
        _write_biases(file, group, population, request)
        index = population.first - first_neuron
        is_updated = on_cores.updated[index : index + population.size]
        for neuron in np.flatnonzero(is_updated).tolist():
            file.write(b"n %d.%d force_update=1\n" % (group, neuron))
    for projection, steps in graph.delay_steps.items():
        if projection.source not in graph.inputs:
            ends = _Ends(
                groups.number(projection.source),
                groups.number(projection.target),
            )
            _write_edges(file, projection, ends, 1.0, counter, delay=steps - 1)
    places = zip(on_cores.tile.tolist(), on_cores.core.tolist())
    for population in graph.layers:
        group = groups.number(population)
        for neuron in range(population.size):
            file.write(b"& %d.%d@%d.%d\n" % (group, neuron, *next(places)))


def _groups_of(graph: SynapseGraph) -> _Groups:
    """Return the groups of a network without a mapping.

    A constant input needs no relays.
    """
    longest: Dict[str, int] = {}  # delay in steps of the synapses of a population
    for projection, steps in graph.delay_steps.items():
        name = projection.source.name
        longest[name] = max(longest.get(name, 1), steps)
    relays: List[_Relay] = []
    for population in graph.populations:
        if population in graph.inputs and population.coding != "spikes":
            continue
        for delay in range(1, longest.get(population.name, 1)):
            group = len(graph.populations) + len(relays)
            relays.append(_Relay(group, population, delay))
    return _Groups(graph.populations, relays)


def _reset_mode(
    graph: SynapseGraph,
    population: GraphPopulation,
    request: Request,
) -> str:
    """Return SANA-FE's name of the reset of a population."""
    if population in graph.inputs:
        return "hard"
    return RESETS[request.reset_of(population)]


def _write_group(file: BinaryIO, size: str, reset_mode: str) -> None:
    """Write a group; `size` is the number of its neurons, and attributes after it."""
    file.write(f"g {size} {SOMA}={reset_mode}\n".encode())


def _write_biases(
    file: BinaryIO,
    group: int,
    population: GraphPopulation,
    request: Request,
) -> None:
    """Write the neurons of a population whose bias is not 0, or threshold not 1."""
    biases = population.bias.astype(np.float64) / request.amplitude
    if population.neuron is not None:
        biases = biases + population.neuron.offset
    biases = biases.ravel()
    model = request.neuron_of(population)
    threshold = np.array(NEVER)
    if model.is_spiking:
        threshold = np.asarray(model.threshold) / request.amplitude
    thresholds = np.resize(threshold, population.size)
    for neuron in np.flatnonzero((biases != 0) | (thresholds != 1)).tolist():
        line = f"n {group}.{neuron} bias={float(biases[neuron])!r}"
        if thresholds[neuron] != 1:
            line += f" threshold={float(thresholds[neuron])!r}"
        file.write(f"{line}\n".encode())


class _Ends(NamedTuple):
    """The groups of the synapses of a projection."""

    source: int
    target: int


def _write_edges(
    file: BinaryIO,
    projection: GraphProjection,
    ends: _Ends,
    unit: float,
    counter: Counter,
    *,
    delay: int = 0,
) -> None:
    """Write a line for each synapse; weights are divided by `unit`.

    `delay` are the steps that the dendrite of the target adds to the one of a synapse.
    """
    digits = "%.17g" if unit == 1 else "%r"
    attributes = f"weight={digits}"
    if delay:
        attributes += f" delay={delay}"
    line = f"e {ends.source}.%d->{ends.target}.%d {attributes}\n"
    for batch in projection.edge_batches(TEXT_BATCH):
        source = (batch.source - projection.source.first).tolist()
        target = (batch.target - projection.target.first).tolist()
        weights = batch.weight.astype(np.float64) / unit + 0.0  # not -0
        lines = map(line.__mod__, zip(source, target, weights.tolist()))
        file.write("".join(lines).encode())
        counter.add(batch.source.size)


def _describe(graph: SynapseGraph, request: Request) -> Dict[str, object]:
    """Return the entries of the description about mapping or relays."""
    if request.on_cores is not None:
        return {"sanafe": {"threshold": 1.0, "mapping": request.on_cores.mapping}}
    groups = _groups_of(graph)
    relays = [
        {
            "group": relay.group,
            "population": relay.population.name,
            "steps_later": relay.delay,
            "size": relay.population.size,
        }
        for relay in groups.relays
    ]
    cores = -(-sum(groups.sizes) // CORE)
    properties = {
        "threshold": 1.0,
        "cores": cores,
        "relays": relays,
        "added_neurons": groups.relay_neurons,
        "added_edges": groups.relay_neurons,
    }
    return {"sanafe": properties}


def unsupported_number(numbers: Mapping[str, np.ndarray]) -> Optional[str]:
    """Return a number of a neuron model that TrueNorth's neuron does not have."""
    if "current_leak" in numbers:
        return "a synaptic current"
    if (numbers.get("leak", np.ones(1)) != 1).any():
        return (
            "a leak: SANA-FE's neuron with a leak, leaky_integrate_fire, rounds "
            "potentials to 1/64 in each step"
        )
    if (numbers.get("gain", np.ones(1)) != 1).any():
        return "a gain other than 1"
    if "subtrahend" not in numbers:
        return None
    subtrahend = numbers["subtrahend"]
    threshold = numbers["threshold"]
    if not np.allclose(subtrahend, threshold, ROUNDING, ROUNDING**2):
        return "a subtrahend other than its threshold"
    return None


def _unstated_number(numbers: Mapping[str, np.ndarray]) -> Optional[str]:
    """Return a number of a neuron model that a file of this format does not state."""
    for name in ("reset", "initial"):
        if name in numbers and numbers[name].any():
            return f"a {name} other than 0"
    if "threshold" not in numbers:
        return "no threshold"
    return unsupported_number(numbers)


def _check(graph: SynapseGraph, request: Request) -> None:
    """Raise an error for a graph that a netlist cannot state, or that is too large."""
    if request.neuron.initial or starts_above_zero(graph):
        raise UsageError(
            "format sanafe cannot state initial potentials other than 0: `snnb "
            "crosscheck --with sanafe` simulates them; else simulate without "
            "--initial-potential, and without parse --calibrate"
        )
    refuse_max_pooling(graph, "SANA-FE")
    refuse_properties(graph, "SANA-FE", _unstated_number)
    refuse_fast_cycles(graph, request)
    edges = graph.number_of_edges()
    if edges > LIMIT:
        raise ResourceError(
            f"{edges:,} edges exceed the limit for SANA-FE ({LIMIT:,}), due to its "
            "memory; use a smaller network, or npz"
        )
    if request.on_cores is not None:
        check_mapped(graph, request.on_cores)


def check_mapped(graph: SynapseGraph, on_cores: OnCores) -> None:
    """Raise `UsageError` for a mapping that SANA-FE cannot hold on a chip."""
    if any(population.coding != "current" for population in graph.inputs):
        raise UsageError(
            "the neurons of a spiking input are not on cores of a mapping; export "
            "without --map"
        )
    longest = max(graph.delay_steps.values(), default=1) - 1
    if longest > MOST_DELAY:
        raise UsageError(
            f"a connection skips {longest} layers, SANA-FE delays {MOST_DELAY}; "
            "export without --map"
        )
    places = np.stack([on_cores.tile, on_cores.core])
    _, counts = np.unique(places, axis=1, return_counts=True)
    most_neurons = int(counts.max(initial=0))
    if most_neurons > CORE:
        raise UsageError(
            f"a core has {most_neurons:,} neurons, SANA-FE's have {CORE:,} at most; "
            "map onto other hardware"
        )


FORMAT = Format(
    "_sanafe.net",
    write_netlist,
    _check,
    simulates=True,
    own_options=("map",),
    extra_description=_describe,
    reader=(recognises, read),
)
