"""`sanafe`: a network in SANA-FE's netlist, which its `load_net(path, arch, use_netlist_format=True)` reads.

Group k (`g`) is population k; neurons count from 0 in each. Groups of relays follow the populations: a synapse
takes a time step there, so the spikes of a connection that skips layers wait in neurons that spike a step after their
only source. All are TrueNorth's neuron (soma `truenorth`), whose sums are float64; `leaky_integrate_fire` rounds to
1/64. Everything is in units of the threshold, which is 1, or integers. Each core of tile 0 has the next 1024 neurons
until they are mapped elsewhere.
With a mapping the neurons are on its cores. There are no relays then, since the dendrite of the architecture delays
spikes, and no neurons of the input (a constant one takes no core): its group is empty.
(Boyle et al., IEEE TCAD 44(8), 2025; SLAM-Lab/SANA-FE, netlist format.)
"""

from pathlib import Path
from typing import BinaryIO, Dict, List, Mapping, Optional, Tuple

import numpy as np

from snnb.core.errors import ResourceError, UsageError
from snnb.formats.description import refuse_fast_cycles
from snnb.formats.request import TEXT_BATCH, Counter, Format, OnCores, Request, starts_above_zero
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph

LIMIT = 50_000_000  # edges; SANA-FE 2.1.1 takes about 760 bytes of memory for each: 38 GB
CORE = 1024  # neurons: the dendrite `accumulator` has no more, and SANA-FE 2.1.1 writes over its end without a check
UNITS = "synapse_hw_name=synapse dendrite_hw_name=dendrite soma_hw_name=soma"
SOMA = "threshold=1 reset=0 reverse_reset_mode=none reset_mode"
RESETS = {"subtraction": "soft", "zero": "hard"}
ROUNDING = 1e-6  # relative; a neuron that spikes only above a number has the next float32 number as threshold
MOST_DELAY = 5  # steps that the dendrite `accumulator_with_delay` adds to the one of every synapse
Relays = Dict[Tuple[str, int], int]


def write_netlist(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write groups, biases, synapses and mapping; see `Format`."""
    on_cores, first, threshold = request.on_cores, graph.layers[0].first, request.threshold
    relays = _relays_of(graph) if on_cores is None else {}
    number = {population.name: k for k, population in enumerate(graph.populations)}
    sizes = {population.name: population.size for population in graph.populations}
    counter = request.counter(graph.number_of_edges())
    with path.open("wb") as file:
        for population in graph.populations:
            mode = "hard" if population in graph.inputs else RESETS[request.reset_of(population)]
            size = f"{population.size} {UNITS} log_spikes=1"
            if on_cores is not None and population in graph.inputs:
                size = f"0 {UNITS}"
            file.write(f"g {size} {SOMA}={mode}\n".encode())
        for name, _ in relays:
            file.write(f"g {sizes[name]} {UNITS} log_spikes=0 {SOMA}=hard\n".encode())
        for population in graph.layers:
            group = number[population.name]
            _write_biases(file, group, population, threshold)
            if on_cores is not None:
                updated = on_cores.updated[population.first - first :][: population.size]
                file.writelines(b"n %d.%d force_update=1\n" % (group, i) for i in np.flatnonzero(updated).tolist())
        for (name, steps), group in relays.items():
            before = relays.get((name, steps - 1), number[name])
            for i in range(sizes[name]):
                file.write(b"e %d.%d->%d.%d weight=1\n" % (before, i, group, i))
        for projection, steps in graph.delay_steps.items():
            name, target = projection.source.name, number[projection.target.name]
            if on_cores is None:
                source = relays.get((name, steps - 1), number[name])
                # A spike of the input is 1, all others are one threshold high.
                unit = threshold if projection.source in graph.inputs else 1.0
                _write_edges(file, projection, (source, target), unit, counter)
            elif projection.source not in graph.inputs:
                _write_edges(file, projection, (number[name], target), 1.0, counter, steps - 1)
        if on_cores is None:
            groups = enumerate([*sizes.values(), *(sizes[name] for name, _ in relays)])
            neurons = [(group, i) for group, size in groups for i in range(size)]
            file.writelines(b"& %d.%d@0.%d\n" % (*neuron, k // CORE) for k, neuron in enumerate(neurons))
            return
        neurons = [(number[population.name], i) for population in graph.layers for i in range(population.size)]
        places = zip(on_cores.tile.tolist(), on_cores.core.tolist())
        file.writelines(b"& %d.%d@%d.%d\n" % (*neuron, *place) for neuron, place in zip(neurons, places))


def _relays_of(graph: SynapseGraph) -> Relays:
    """Return the number of each group of relays by population and delay in steps; a constant input needs none."""
    longest: Dict[str, int] = {}
    for projection, steps in graph.delay_steps.items():
        name = projection.source.name
        longest[name] = max(longest.get(name, 1), steps)
    relays: Relays = {}
    for population in (p for p in graph.populations if p not in graph.inputs or p.coding == "spikes"):
        for steps in range(1, longest.get(population.name, 1)):
            relays[population.name, steps] = len(graph.populations) + len(relays)
    return relays


def _write_biases(file: BinaryIO, group: int, population: GraphPopulation, threshold: float) -> None:
    biases = population.bias.astype(np.float64) / threshold
    if population.neuron is not None:
        biases = biases + population.neuron.offset
    biases = biases.ravel()
    thresholds = population.firing_threshold.astype(np.float64).ravel()
    for i in np.flatnonzero((biases != 0) | (thresholds != 1)).tolist():
        own = "" if thresholds[i] == 1 else f" threshold={float(thresholds[i])!r}"
        file.write(f"n {group}.{i} bias={float(biases[i])!r}{own}\n".encode())


def _write_edges(
    file: BinaryIO, projection: GraphProjection, groups: Tuple[int, int], unit: float, counter: Counter, delay: int = 0
) -> None:
    """Write a line for each synapse; weights are divided by `unit`."""
    first_source, first_target = projection.source.first, projection.target.first
    digits, later = "%.17g" if unit == 1 else "%r", f" delay={delay}" if delay else ""
    line = f"e {groups[0]}.%d->{groups[1]}.%d weight={digits}{later}\n"
    for batch in projection.edge_batches(TEXT_BATCH):
        ends = (batch.source - first_source).tolist(), (batch.target - first_target).tolist()
        weights = batch.weight.astype(np.float64) / unit + 0.0  # not -0
        file.write("".join(map(line.__mod__, zip(*ends, weights.tolist()))).encode())
        counter.add(batch.source.size)


def _describe(graph: SynapseGraph, request: Request) -> Dict[str, object]:
    if request.on_cores is not None:
        return {"sanafe": {"threshold": 1.0, "mapping": request.on_cores.mapping}}
    sizes = {population.name: population.size for population in graph.populations}
    relays: List[Dict[str, object]] = [
        {"group": group, "population": name, "steps_later": steps, "size": sizes[name]}
        for (name, steps), group in _relays_of(graph).items()
    ]
    added = sum(sizes[name] for name, _ in _relays_of(graph))
    cores = -(-(graph.number_of_nodes() + added) // CORE)
    return {
        "sanafe": {"threshold": 1.0, "cores": cores, "relays": relays, "added_neurons": added, "added_edges": added}
    }


def unsaid(numbers: Mapping[str, np.ndarray]) -> Optional[str]:
    """Return a number of a neuron model that TrueNorth's neuron does not have."""
    if "current_leak" in numbers:
        return "a synaptic current"
    if (numbers.get("leak", np.ones(1)) != 1).any():
        return "a leak: SANA-FE's neuron with a leak, leaky_integrate_fire, rounds potentials to 1/64 in each step"
    if (numbers.get("gain", np.ones(1)) != 1).any():
        return "a gain other than 1"
    if "subtrahend" in numbers and not np.allclose(numbers["subtrahend"], numbers["threshold"], ROUNDING, ROUNDING**2):
        return "a subtrahend other than its threshold"
    return None


def _unsaid(population: GraphPopulation) -> Optional[str]:
    """Return a number of the neuron model of a population that a file of this format does not state."""
    if population.neuron is None:
        return None
    numbers = population.neuron.numbers(population.shape)
    for name in ("reset", "initial"):
        if name in numbers and numbers[name].any():
            return f"a {name} other than 0"
    if "threshold" not in numbers:
        return "no threshold"
    if population.later_bias is not None and population.later_bias.any():
        return "later_bias, a bias that begins in the second step"
    return unsaid(numbers)


def _check(graph: SynapseGraph, request: Request) -> None:
    if request.initial_potential or starts_above_zero(graph):
        raise UsageError(
            "format sanafe cannot state initial potentials other than 0: `snnb crosscheck --with sanafe` simulates "
            "them; else simulate without --initial-potential, and without parse --calibrate"
        )
    for population in graph.layers:
        number = _unsaid(population)
        if number is not None:
            raise UsageError(
                f"SANA-FE's neurons do not support this property of {population.name}: {number}; use csv or npz"
            )
    refuse_fast_cycles(graph, request)
    if graph.number_of_edges() > LIMIT:
        raise ResourceError(
            f"{graph.number_of_edges():,} edges are more than SANA-FE holds in usual memory ({LIMIT:,}); "
            "take a smaller network, or npz"
        )
    if request.on_cores is not None:
        check_mapped(graph, request.on_cores)


def check_mapped(graph: SynapseGraph, on_cores: OnCores) -> None:
    """Raise `UsageError` for a mapping that SANA-FE cannot hold on a chip."""
    if any(population.coding != "current" for population in graph.inputs):
        raise UsageError("the neurons of an input that spikes are on no core of a mapping; export without --map")
    longest = max(graph.delay_steps.values(), default=1) - 1
    if longest > MOST_DELAY:
        raise UsageError(f"a connection skips {longest} layers, SANA-FE delays {MOST_DELAY}; export without --map")
    fullest = int(np.unique(np.stack([on_cores.tile, on_cores.core]), axis=1, return_counts=True)[1].max(initial=0))
    if fullest > CORE:
        raise UsageError(f"a core has {fullest:,} neurons, SANA-FE's have {CORE:,} at most; map onto other hardware")


FORMAT = Format("_sanafe.net", write_netlist, _check, simulates=True, own_options=("map",), extra_description=_describe)
