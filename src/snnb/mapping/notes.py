"""Notes on a mapping: what its cost excludes, and how the chip differs from the simulation."""

from typing import Iterator, List, Sequence

from snnb.chips.hardware import Hardware, LayerHardware
from snnb.core.quantities import number, prefixed
from snnb.core.recommendation import CALIBRATED_STEPS, recommend
from snnb.formats.description import max_poolings
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph
from snnb.mapping.files import MappingCost
from snnb.mapping.layers.assignment import LayerAssignment
from snnb.mapping.traffic import MappableNetwork
from snnb.network.network import Network


def neuron_notes(
    network: MappableNetwork, cost: MappingCost, *, converted: bool = True
) -> List[str]:
    """Return notes about what the cost assumes, excludes or cannot know.

    `converted`: the network is converted, and can be converted to integers.
    """
    graph, hardware = network.graph, cost.hardware
    notes = current_notes(graph)
    notes += _input_note(network, cost)
    notes += _weight_note(graph, hardware, converted=converted)
    notes += _pooling_note(graph, hardware, converted=converted)
    if hardware.figures_text is not None:
        notes.append(hardware.figures_text)
    return notes


def current_notes(network: SynapseGraph) -> List[str]:
    """Return a note about each input that sends currents.

    The cost of a mapping excludes its synapses, although they take synapse memory.
    """
    synapses = {p.name: 0 for p in network.inputs if p.coding == "current"}
    for projection in network.projections:
        if projection.source.name in synapses:
            synapses[projection.source.name] += projection.number_of_edges
    return [
        f"{name} sends currents: the cost excludes {n_synapses:,} of "
        f"{network.number_of_edges():,} synapses"
        for name, n_synapses in synapses.items()
    ]


def _input_note(network: MappableNetwork, cost: MappingCost) -> List[str]:
    """Return a note about the spikes of an input, and the cost of their routes."""
    if not cost.traffic.outside_spikes:
        return []
    names = ", ".join(p.name for p in network.sources if p.first < network.first)
    spikes = number(cost.traffic.outside_spikes).value
    if cost.input is None:
        return [
            f"{names}: {spikes} spikes per sample to cores, which connectivity, hops "
            "and the energy of routes exclude"
        ]
    ports = len(cost.hardware.input_ports or ())
    hops = number(cost.input.input_hops_unicast).value
    energy = " ".join(prefixed(cost.input.input_route_energy_pj, "pJ"))
    name = "port" if ports == 1 else "ports"
    return [
        f"{names}: {spikes} spikes per sample enter at {ports:,} {name}, with {hops} "
        f"hops and {energy} of routes, which hops and energy include; connectivity "
        "excludes them"
    ]


def layer_notes(
    network: Network,
    hardware: LayerHardware,
    assignment: LayerAssignment,
    currents: Sequence[str],
) -> Iterator[str]:
    """Yield a note for each difference between the chip and the simulation.

    `currents` are the notes about inputs, see `current_notes`.
    """
    if assignment.folded:
        yield (
            f"{', '.join(assignment.folded)}: pooling neurons of the simulation; "
            f"{hardware.name} has none and sums their windows on the way to the next "
            "core, whose weights are divided by the size of a window; spikes of later "
            "layers are those of the simulation"
        )
    pooled_dense_layers = [
        layer.name
        for layer in assignment.layers
        if layer.kernel_size == layer.input and layer.terms[0].pooling > 1
    ]
    is_converted = not network.trained_spiking
    if pooled_dense_layers and network.steps is None and is_converted:
        calibration = recommend("parse", calibrate=CALIBRATED_STEPS)
        yield (
            f"{', '.join(pooled_dense_layers)}: {calibration} composes the pooling "
            "with the Dense layer, so that the simulation has no pooling neurons there "
            "either"
        )
    weight_bits = hardware.layer.weight_bits
    if network.weight_bits is None and weight_bits is not None:
        yield _precision_note(
            hardware.name, weight_bits, with_remedy=not network.trained_spiking
        )
    yield from currents
    if network.output.activation == "softmax":
        yield (
            f"{network.output.name}: a softmax, whose spikes are drawn at random in "
            f"the simulation; the neurons of {hardware.name} integrate and fire"
        )


def _weight_note(
    network: SynapseGraph, hardware: Hardware, *, converted: bool
) -> List[str]:
    """Return a note if weights are fractions, but the chip has a number of bits.

    The chip states it with its synapse memory. Integers are not compared with it.
    """
    memory = hardware.synapse_memory
    if memory is None or "weight_bits" in network.attributes:
        return []
    if not any(map(_has_fractions, network.projections)):
        return []
    return [_precision_note(hardware.name, memory.weight_bits, with_remedy=converted)]


def _has_fractions(projection: GraphProjection) -> bool:
    """Whether a weight of the projection is not an integer."""
    return any((batch.weight % 1).any() for batch in projection.edge_batches())


def _pooling_note(
    network: SynapseGraph, hardware: Hardware, *, converted: bool
) -> List[str]:
    """Return a note about max poolings, whose rule neurons of a chip do not have."""
    names = ", ".join(max_poolings(network))
    if not names:
        return []
    remedy = f": {recommend('parse', max_pool='average')}" if converted else ""
    return [
        f"{names}: max pooling follows the largest spike count of its inputs, but "
        f"neurons of {hardware.name} integrate and fire{remedy}"
    ]


def _precision_note(chip: str, bits: int, *, with_remedy: bool = True) -> str:
    """Return the note about floating-point weights on a chip with weights of `bits`."""
    remedy = f": {recommend('parse', weight_bits=bits)}" if with_remedy else ""
    return f"floating-point weights; {chip} has {bits} bits{remedy}"
