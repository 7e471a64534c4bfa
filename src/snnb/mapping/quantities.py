"""The quantities of a mapping: parts of `cost.json` that the manifest also holds.

s is a neuron that spikes n(s) times in a sample; D(s) are the cores that hold a
target of s, except its own core; d(s, c) is the number of links between the core of s
and the core c. Σ n(s)·|D(s)| is the λ − 1 metric of hypergraph partitioning (Schlag,
"High-quality hypergraph partitioning", 2020). Routes run along x first, then along y.

The description of a field is its formula; docs/mapping-files.md is made from them, and lists
the literature [1] to [3]. `router` and `link` are the energy or latency of a router and
of a link in the description of a chip.

With `input_ports` in the description, spikes of a spiking input take routes too: i is a
neuron of the input, D(i) the cores that hold a target of it, and d(i, c) the number of
links from the port of c, the one with the fewest, to c. Quantities of routes then have
the same sum over the neurons i; `InputCost` has this part alone.
"""

from typing import List, Literal, Optional, Tuple, Union

from pydantic import Field
from typing_extensions import Annotated

from snnb.core.quantities import Quantity, prefixed
from snnb.io.text import Document

# Quantities of several documents
CORE_EVENTS_PEAK = Quantity("most events into a core", per="step")
LINK_LOAD_PEAK = Quantity("peak link load", unit="spikes", per="sample")
Connectivity = Annotated[
    float,
    Quantity("connectivity", unit="spikes", per="sample", short="spikes"),
]
Cores = Annotated[int, Quantity("cores")]
Cut = Annotated[float, Quantity("cut", unit="spikes", per="sample")]
# x and y of the routers where a link begins and ends
LinkEnds = Tuple[Tuple[int, int], Tuple[int, int]]
OutsideSpikes = Annotated[
    float,
    Quantity("spikes from outside", unit="spikes", per="sample"),
]


class CoreCost(Document):
    """Cores in use, and what their neurons share."""

    cores: Cores = Field(description="cores with neurons")
    chips: Annotated[Optional[int], Quantity("chips")] = Field(
        default=None,
        description="chips with neurons; with `chip` in the description",
    )
    reuse: Annotated[
        float,
        Quantity("synaptic reuse", unit="synapses", per="axon"),
    ] = Field(description="synapses ÷ axons: mean over the cores with axons [3]")
    overlap_mean: Annotated[float, Quantity("hyperedge overlap, mean")] = Field(
        description="pairs of a spiking source and a target on the core ÷ axons of the "
        "core (0 if it has none): mean over the cores with neurons [3]",
    )
    overlap_geometric_mean: Annotated[
        float,
        Quantity("hyperedge overlap, geometric"),
    ] = Field(description="their geometric mean, with 1 for a core without axons")


class TrafficCost(Document):
    """Spikes between cores."""

    connectivity: Connectivity = Field(description="Σ n(s) · |D(s)| [1]")
    cut: Cut = Field(description="Σ n(s) over the neurons with D(s) not empty")
    external_degrees: Annotated[
        float,
        Quantity("external degrees", per="sample"),
    ] = Field(
        description=(
            "Σ n(s) · |D(s)| · (1 + distinct targets of s), without a spiking input [3]"
        ),
    )
    outside_spikes: OutsideSpikes = Field(
        description="Σ n(s) · |D(s)| over the neurons of a spiking input",
    )
    spikes_between_chips: Annotated[
        Optional[float],
        Quantity("spikes between chips", unit="spikes", per="sample"),
    ] = Field(
        default=None,
        description="spikes between cores of different chips; with `chip`; with "
        "`input_ports` also from a port of another chip",
    )


class RouteCost(Document):
    """Routes of the spikes between cores, and loads of the links."""

    hops_unicast: Annotated[
        float,
        Quantity("hops", unit="links", per="sample"),
    ] = Field(
        description=(
            "Σ n(s) · Σ d(s, c) over c in D(s): links crossed if each core is sent a "
            "separate spike; with `input_ports` also Σ n(i) · Σ d(i, c) over the input"
        ),
    )
    hops_multicast: Annotated[
        float,
        Quantity("hops, multicast", unit="links", per="sample"),
    ] = Field(
        description="Σ n(s) · (links in the union of the routes to D(s)); with "
        "`input_ports` also for each i and port the union of the routes from there",
    )
    hops_between_chips: Annotated[
        Optional[float],
        Quantity("hops between chips", unit="links", per="sample"),
    ] = Field(
        default=None,
        description="links to another chip, as `hops_unicast`; with `chip`",
    )
    latency_ns_mean: Annotated[
        float,
        Quantity("latency of a spike, mean", prefixed, "ns"),
    ] = Field(
        description=(
            "(d + 1) · router + d · link: mean over the spikes between cores [2, 3], "
            "and from ports"
        ),
    )
    latency_ns_max: Annotated[
        float,
        Quantity("latency of a spike, maximum", prefixed, "ns"),
    ] = Field(description="maximum of the same")
    link_load_mean: Annotated[
        float,
        Quantity("link load, mean", unit="spikes", per="sample"),
    ] = Field(
        description="spikes over a link in one direction, mean over all links of the "
        "mesh; each core is sent a separate spike",
    )
    link_load_max: Annotated[
        float,
        Quantity("link load, maximum", unit="spikes", per="sample"),
    ] = Field(description="maximum of the same")
    multicast_link_load_mean: Annotated[
        float,
        Quantity("link load, multicast, mean", unit="spikes", per="sample"),
    ] = Field(
        description=(
            "as `link_load_mean`, if a spike to several cores crosses each link once"
        ),
    )
    multicast_link_load_max: Annotated[
        float, Quantity("link load, multicast, maximum", unit="spikes", per="sample")
    ] = Field(description="maximum of the same")


class InputCost(Document):
    """Spikes from ports to cores, and the part of the routes that they take."""

    spikes_with_input: Annotated[
        float,
        Quantity("spikes with the input", unit="spikes", per="sample"),
    ] = Field(
        description="`connectivity` + `outside_spikes`: with `input_ports`, the figure "
        "to compare",
    )
    input_hops_unicast: Annotated[
        float,
        Quantity("hops of the input", unit="links", per="sample"),
    ] = Field(description="the part of the input in `hops_unicast`")
    input_hops_multicast: Annotated[
        float,
        Quantity("hops of the input, multicast", unit="links", per="sample"),
    ] = Field(description="the part of the input in `hops_multicast`")
    input_route_energy_pj: Annotated[
        float,
        Quantity("energy of the input's routes", prefixed, "pJ", per="sample"),
    ] = Field(description="Σ n(i) · Σ ((d + 1) · router + d · link) over c in D(i)")


class EnergyCost(Document):
    """Energy of a sample; one of both has a value, see `Hardware.energy_of`."""

    energy_pj: Annotated[
        Optional[float],
        Quantity("energy", prefixed, "pJ", per="sample", short="energy"),
    ] = Field(
        default=None,
        description=(
            "Σ events · their energies; of a description with energies of neurons or "
            "messages"
        ),
    )
    network_energy_pj: Annotated[
        Optional[float],
        Quantity("network energy", prefixed, "pJ", per="sample", short="energy*"),
    ] = Field(
        default=None,
        description="Σ n(s) · Σ ((d + 1) · router + d · link) over c in D(s) [2, 3], "
        "and the energy of synapses if the description has it: without neurons and "
        "messages, not comparable with `energy_pj`",
    )

    @property
    def picojoules(self) -> float:
        """The value of the one that has one, to compare mappings onto one chip."""
        energy = self.network_energy_pj if self.energy_pj is None else self.energy_pj
        assert energy is not None
        return energy


class StepBound(Document):
    """Largest share of the time of a step with the mean number of events.

    It is that of the busiest core, of the busiest link if its spikes take longer than
    the core, or the end of the step. The busiest core either receives messages
    (`axons`: the messages, `synapses`: their synaptic operations) or updates neurons
    (`neurons`: updates and spikes, `axons`: the messages sent), whichever takes longer.
    """

    by: Literal["synapses", "neurons", "axons", "link", "barrier"]
    ns: float
    core: Optional[int] = None  # with `synapses`, `neurons` and `axons`
    # Routers where the link begins and ends, with `link`
    link: Optional[LinkEnds] = None


class StepCost(Document):
    """Time of a step, and of a sample."""

    step_ns: Annotated[float, Quantity("time per step", prefixed, "ns")] = Field(
        description="time of a step with the mean number of events; with `link_spike` "
        "at least that of the spikes over the busiest link",
    )
    sample_ns: Annotated[
        float,
        Quantity("sample interval", prefixed, "ns", short="interval"),
    ] = Field(description="steps of a sample, including the warm-up, · `step_ns`")
    sample_latency_ns: Annotated[
        float,
        Quantity("latency of a sample", prefixed, "ns", short="latency"),
    ] = Field(
        description=(
            "the same, including the steps that spikes take from layer to layer"
        ),
    )
    link_ns: Annotated[
        Optional[float],
        Quantity("busiest link per step", prefixed, "ns"),
    ] = Field(
        default=None,
        description="spikes per step over the busiest link · `link_spike`",
    )
    # Routers where this link begins and ends; None: no `link_spike`, or no spikes
    busiest_link: Optional[LinkEnds] = None
    step_bound: StepBound


class Baseline(Document):
    """The sequential mapping, with which a mapping is compared."""

    sequential_cores: Annotated[int, Quantity("cores, sequential")] = Field(
        description="`cores` of the sequential mapping",
    )
    sequential_connectivity: Annotated[
        float,
        Quantity("connectivity, sequential", unit="spikes", per="sample"),
    ] = Field(description="`connectivity` of the sequential mapping")
    connectivity_ratio: Annotated[
        Optional[float],
        Quantity("connectivity ÷ sequential", short="ratio"),
    ] = Field(
        default=None,
        description="`connectivity` ÷ `sequential_connectivity`, unless that is 0",
    )


class LayerCores(Document):
    """Cores in use by layers."""

    cores: Cores = Field(description="cores with layers")


class LayerTraffic(Document):
    """Spikes between cores that each take a layer, and spikes at synapses."""

    connectivity: Connectivity = Field(
        description=(
            "spikes between cores: those of a layer once for each core that reads it"
        ),
    )
    outside_spikes: OutsideSpikes = Field(description="the same, from a spiking input")
    synaptic_operations: Annotated[
        float,
        Quantity("synaptic operations", per="sample"),
    ] = Field(
        description="spikes at synapses; a folded pooling passes all spikes of its "
        "windows on, and weights that only fill a kernel up do not count"
    )


class MappingSummary(Document):
    """Figures of a mapping that the manifest also holds: chip, size and cost.

    The parts of the cost are those of `cost.json`. If each layer has a core, they are
    only `cores`, `traffic` and `core_events_peak`, which neurons on a mesh do not have.
    """

    graph: str  # stamp
    hardware: str
    mesh: Optional[List[int]]  # None: each layer has a core
    method: str
    neurons: int
    overfull_cores: int
    cores: Union[CoreCost, LayerCores]
    traffic: Union[TrafficCost, LayerTraffic]
    routes: Optional[RouteCost] = None
    energy: Optional[EnergyCost] = None
    input: Optional[InputCost] = None  # None: no input ports
    step: Optional[StepCost] = None
    sequential: Optional[Baseline] = None
    # None: no spike times were recorded, or the chip is of the other kind
    link_load_peak: Annotated[Optional[float], LINK_LOAD_PEAK] = None
    core_events_peak: Annotated[Optional[int], CORE_EVENTS_PEAK] = None
