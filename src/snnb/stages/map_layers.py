"""The stage `map` for a chip that takes whole layers."""

from typing import TYPE_CHECKING, Iterator, List, Optional, Sequence, Tuple

from snnb.chips.hardware import LayerHardware
from snnb.core.errors import InputError, UsageError
from snnb.core.progress import Say
from snnb.rundir.directory import RunDirectory, StageOutput
from snnb.stages import graph, simulate
from snnb.stages.stage import unaltered

if TYPE_CHECKING:
    from snnb.graph.synapse_graph import SynapseGraph
    from snnb.mapping.layers.assignment import LayerAssignment
    from snnb.mapping.layers.layer_cost import LayerCost
    from snnb.network.network import Network

NO_EFFECT = ("method", "objective", "partition", "placement", "allow_overfull", "split_overfull", "seed")


def parsed_file(run: RunDirectory, stamp: Optional[str]) -> str:
    """Return the path of the parsed model of a graph's simulation; without a graph that of `parse`."""
    return simulate.parsed_file(run, None if stamp is None else graph.simulation_of(run, stamp))


def check_network(run: RunDirectory, hardware: LayerHardware) -> None:
    """Raise `UsageError` for a run that has a graph and no network."""
    if run.manifest.run.imported:
        raise UsageError(
            f"--hardware {hardware.name}: takes layers, and {run.path} contains an external graph and no network; give "
            "a chip with a mesh"
        )


def check_fit(run: RunDirectory, hardware: LayerHardware, stamp: Optional[str], say: Say) -> None:
    """Raise `InputError` with the reason if the network does not fit, after its table; see `parsed_file`."""
    from snnb.mapping.layers.assignment import assign_layers, text_table
    from snnb.network.read_network import read_network

    assignment = assign_layers(read_network(unaltered(run, parsed_file(run, stamp))), hardware)
    if assignment.reason is not None:
        say("\n".join([f"layers on {hardware.name}", *text_table(assignment.rows())]))
        raise InputError(assignment.reason)


def write_layers(
    run: RunDirectory,
    stamp: str,
    hardware: LayerHardware,
    spike_times: Optional[str],
    output: StageOutput,
    figures: str,
) -> "Tuple[LayerCost, List[str]]":
    """Map the layers of a graph's network; write `cost.json` and the picture, and return cost and lines of the log."""
    from snnb.graph.synapse_graph import SynapseGraph
    from snnb.io.figures import save
    from snnb.mapping.layers.assignment import assign_layers
    from snnb.mapping.layers.layer_cost import COST, LayerCost
    from snnb.mapping.layers.layer_plots import plot_layers
    from snnb.mapping.traffic import MappableNetwork
    from snnb.network.read_network import read_network

    network = read_network(unaltered(run, parsed_file(run, stamp)))
    assignment = assign_layers(network, hardware)
    if assignment.reason is not None:
        raise InputError(assignment.reason)
    with SynapseGraph.open(run.path / graph.graph_file(run, stamp), checked=True) as opened:
        placed = MappableNetwork.of(opened)
        cost = LayerCost.of(
            network,
            hardware,
            assignment,
            {population.name: placed.spikes_of(population) for population in placed.sources},
            model=run.model,
            graph=stamp,
            samples=placed.samples,
            spike_times=None if spike_times is None else run.path / spike_times,
        )
        currents = current_notes(opened)
    cost.write(output.directory / COST)
    save(plot_layers(cost), output.directory / f"layers.{figures}")
    output.warnings = list(notes(network, hardware, assignment, currents))
    output.metrics = cost.metrics()
    return cost, [*cost.log_lines(assignment), "", *output.warnings]


def current_notes(network: "SynapseGraph") -> List[str]:
    """Return a note about each input that carries currents, whose synapses the cost of a mapping does not have."""
    synapses = {p.name: 0 for p in network.inputs if p.coding == "current"}
    for projection in network.projections:
        if projection.source.name in synapses:
            synapses[projection.source.name] += projection.number_of_edges
    return [
        f"{name}: carries currents and no spikes; traffic and energy exclude its {number:,} of "
        f"{network.number_of_edges():,} synapses"
        for name, number in synapses.items()
    ]


def notes(
    network: "Network", hardware: LayerHardware, assignment: "LayerAssignment", currents: Sequence[str]
) -> Iterator[str]:
    """Yield where the chip computes something else than the simulation, or its weights are not those of the chip.

    `currents` are the notes about inputs, see `current_notes`.
    """
    if assignment.folded:
        yield (
            f"{', '.join(assignment.folded)}: pooling neurons of the simulation; {hardware.name} has none and sums "
            "their windows on the way to the next core, whose weights are divided by the size of a window; spikes of "
            "later layers are those of the simulation"
        )
    dense = [one.name for one in assignment.layers if one.kernel_size == one.input and one.terms[0].pooling > 1]
    if dense and network.steps is None:
        yield (
            f"{', '.join(dense)}: `parse --calibrate` composes the pooling with the Dense layer, so that the "
            "simulation has no pooling neurons there either"
        )
    weight_bits = hardware.layer.weight_bits
    if network.weight_bits is None and weight_bits is not None:
        yield (
            f"weights are floating-point numbers, and those of {hardware.name} are integers: `parse --weight-bits "
            f"{weight_bits}`"
        )
    yield from currents
    if network.output.activation == "softmax":
        yield (
            f"{network.output.name}: a softmax, whose spikes are drawn at random in the simulation; the neurons of "
            f"{hardware.name} integrate and fire"
        )
