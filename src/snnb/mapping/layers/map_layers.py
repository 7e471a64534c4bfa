"""Map the layers of a network onto the cores of a chip, a core for each layer."""

from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Tuple, Union

from snnb.chips.hardware import LayerHardware
from snnb.core.errors import InputError
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.text import html_table
from snnb.mapping.layers.assignment import LayerAssignment, assign_layers
from snnb.mapping.layers.layer_cost import COST, LayerCost
from snnb.mapping.notes import current_notes, layer_notes
from snnb.mapping.traffic import MappableNetwork
from snnb.network.network import Network
from snnb.network.spike_times import SpikeTimes


@dataclass(frozen=True, eq=False, repr=False)
class LayerMapping:
    """Layers on the cores of a chip, with the cost.

    Attributes
    ----------
    assignment : LayerAssignment
        The layers, their cores and the memories that they take.
    cost : LayerCost
        The content of cost.json: `cost.layers`, `cost.traffic.connectivity` and so on.
    notes : tuple of str
        Differences between the chip and the simulation.
    """

    assignment: LayerAssignment
    cost: LayerCost
    notes: Tuple[str, ...]

    def __repr__(self) -> str:
        return (
            f"<LayerMapping: {len(self.cost.layers)} layers on "
            f"{self.cost.cores.cores} cores of {self.hardware.name}>"
        )

    def _repr_html_(self) -> str:
        head, *rows = self.assignment.rows()
        return html_table(repr(self)[1:-1], rows, head)

    @property
    def hardware(self) -> LayerHardware:
        """Hardware description."""
        return self.cost.hardware

    def write(self, directory: Union[str, Path]) -> None:
        """Write `cost.json` into an existing directory."""
        self.cost.write(Path(directory) / COST)

    def log_lines(self) -> List[str]:
        """Return the lines of the log: layers with their memories, cost, and notes."""
        return [*self.cost.log_lines(self.assignment), "", *self.notes]


def map_layers(
    network: Network,
    graph: SynapseGraph,
    hardware: LayerHardware,
    *,
    spike_times: Optional[SpikeTimes] = None,
    model: str = "",
    graph_name: str = "",
) -> LayerMapping:
    """Assign the layers of a network to cores, and compute the cost.

    Parameters
    ----------
    network : Network
    graph : SynapseGraph
        Its graph, with spike counts.
    hardware : LayerHardware
    spike_times : SpikeTimes, optional
        Recorded samples, for the busiest core.
    model, graph_name : str
        Provenance, in the cost.

    Raises
    ------
    InputError
        The layers do not fit on the cores.
    """
    assignment = assign_layers(network, hardware)
    if assignment.reason is not None:
        raise InputError(assignment.reason)
    mappable = MappableNetwork.of(graph)
    spikes = {source.name: mappable.spikes_of(source) for source in mappable.sources}
    cost = LayerCost.of(
        network,
        hardware,
        assignment,
        spikes,
        model=model,
        graph=graph_name,
        samples=mappable.samples,
        spike_times=spike_times,
    )
    notes = layer_notes(network, hardware, assignment, current_notes(graph))
    return LayerMapping(assignment, cost, tuple(notes))
