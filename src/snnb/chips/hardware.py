"""What a description states: mesh, limits of cores, energies and times of events; or cores that take a layer each."""

from typing import TYPE_CHECKING, Dict, Literal, NamedTuple, Optional, Tuple, Union

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    computed_field,
    model_serializer,
    model_validator,
)
from typing_extensions import Annotated

from snnb.io.text import Document

if TYPE_CHECKING:
    import numpy as np

LARGEST_SIDE = 32_768  # of a mesh; core numbers fit in 32 bits
LARGEST_LIMIT = 2**53
NO_LIMIT = 1 << 62
ALWAYS_STATED = ("synapses_per_core", "synapse")  # in cost.json, also if they are absent
# Keys that need an entry in `sources`: `energy_pj` if it has more than router, link and synapse
SOURCED = ("tile", "chip", "axons_out_per_core", "synapse_memory", "energy_pj", "time_ns")
Side = Annotated[int, Field(strict=True, ge=1, le=LARGEST_SIDE)]
Sides = Tuple[Side, Side]  # along x and along y
Limit = Annotated[int, Field(strict=True, ge=1, le=LARGEST_LIMIT)]
Figure = Annotated[float, Field(strict=True, ge=0, le=1e12)]
Text = Annotated[str, Field(strict=True, min_length=1, max_length=10_000)]
Name = Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9_.-]{1,60}$")]
MOST_LAYER_CORES = 1024


class Description(Document):
    """A part of a hardware description."""

    @model_serializer(mode="wrap")
    def _omit_absent(self, plain: SerializerFunctionWrapHandler) -> Dict[str, object]:
        return {key: value for key, value in plain(self).items() if value is not None or key in ALWAYS_STATED}


class RouteFigures(Description):
    """Energy (pJ) or time (ns) of a spike on its way to another core: per router and link of its route."""

    router: Figure
    link: Optional[Figure] = None  # or `link_x` and `link_y`
    link_x: Optional[Figure] = None
    link_y: Optional[Figure] = None
    between_chips: Optional[Figure] = None  # of a link between chips; None: that of any other link

    @model_validator(mode="after")
    def _has_links(self) -> "RouteFigures":
        both = self.link_x is not None, self.link_y is not None
        if both != ((self.link is None),) * 2:
            raise ValueError("give link, or link_x and link_y")
        return self

    def of_routes(self, hops: "np.ndarray", borders: "np.ndarray", *, first: bool = True) -> "np.ndarray":
        """Return the sum over the routers and links of routes: float64, shape (routes,).

        Parameters
        ----------
        hops, borders : (2, routes) int64 array; links along x and y, and the ones that lead to another chip
        first : whether the router of the sending core counts
        """
        routers = (hops.sum(axis=0) + first) * self.router
        if self.link is not None and self.between_chips is None:
            return routers + hops.sum(axis=0) * self.link
        x, y = (self.link, self.link) if self.link is not None else (self.link_x, self.link_y)
        if self.between_chips is None:
            return routers + (hops[0] * x + hops[1] * y)
        inside = hops - borders
        return routers + (inside[0] * x + inside[1] * y + borders.sum(axis=0) * self.between_chips)


class EventFigures(RouteFigures):
    """Energies (pJ) or times (ns) of events; None is not counted. The events are the ones of SANA-FE."""

    synapse: Optional[Figure] = None  # of a spike at a synapse
    # Update of a neuron in a time step: without input, bias and potential, and of any other
    neuron_inactive: Optional[Figure] = None
    neuron_active: Optional[Figure] = None
    spike: Optional[Figure] = None  # of a neuron, besides the update
    # Message of a spike to a core that holds a target of the neuron: where it is sent, and where it is received
    axon_out: Optional[Figure] = None
    axon_in: Optional[Figure] = None


# Parts of the energy, and their events by their keys in a description
PARTS = {
    "synapses": ("synapse",),
    "neurons": ("neuron_inactive", "neuron_active", "spike"),
    "axons": ("axon_out", "axon_in"),
    "network": ("router", "link_x", "link_y", "between_chips"),
}


class TimesNs(EventFigures):
    """Times of events in ns."""

    # End of a time step; or by the least number of tiles in use
    barrier: Union[Figure, Dict[Annotated[int, Field(ge=0)], Figure], None] = None

    def barrier_of(self, tiles: int) -> float:
        """Return the time of the end of a step with a number of tiles in use, as SANA-FE's `LookupTable`."""
        if not isinstance(self.barrier, dict):
            return self.barrier or 0.0
        keys = [key for key in self.barrier if key <= tiles]
        return self.barrier[max(keys) if keys else min(self.barrier)]


class SynapseMemory(Description):
    """Memory of a core for synapses."""

    bits_per_core: Limit
    # Of an entry of a list: the list of a source has its synapses onto the neurons of the core
    weight_bits: Limit
    index_bits: Annotated[int, Field(strict=True, ge=0, le=LARGEST_LIMIT)] = 0
    sharing: Literal["kernel", "none"] = "none"  # kernel: sources whose lists are equal up to a shift share one

    @property
    def entries(self) -> int:
        """Number of entries that the memory of a core holds."""
        return self.bits_per_core // (self.weight_bits + self.index_bits)


class Hardware(Description):
    """Hardware description of a chip."""

    name: Name
    mesh: Sides  # cores
    tile: Optional[Sides] = None  # cores that share a router: hops are counted between tiles; None: each has one
    chip: Optional[Sides] = None  # cores of a chip; None: there is one chip
    neurons_per_core: Limit
    # Distinct neurons whose spikes the synapses of a core receive, including neurons of the core itself
    axons_per_core: Limit
    axons_out_per_core: Optional[Limit] = None  # pairs of a neuron and a core that holds targets of it
    synapses_per_core: Optional[Limit] = None  # None: not limited
    synapse_memory: Optional[SynapseMemory] = None
    energy_pj: EventFigures
    latency_ns: Optional[RouteFigures] = None  # or `time_ns`
    time_ns: Optional[TimesNs] = None
    source: Text  # source of all other figures
    sources: Optional[Dict[str, Text]] = None  # sources of the figures of these keys

    @model_validator(mode="after")
    def _is_consistent(self) -> "Hardware":
        faults = []
        for name, part, within, sides in (
            ("tile", self.tile, "mesh", self.mesh),
            ("chip", self.chip, "mesh", self.mesh),
            ("tile", self.chip and self.tile, "chip", self.chip or self.mesh),
        ):
            if part is not None and (sides[0] % part[0] or sides[1] % part[1]):
                faults.append(f"{within}: {sides[0]} × {sides[1]} cores are not a multiple of the {name}'s, {part}")
        if (self.latency_ns is None) == (self.time_ns is None):
            faults.append("give latency_ns or time_ns, one of them")
        stated = [name for name in SOURCED if getattr(self, name) is not None and (name != "energy_pj" or self.events)]
        missing = [name for name in stated if name not in (self.sources or {})]
        if missing:
            faults.append(f"{', '.join(missing)}: no source, name it under sources")
        unknown = [name for name in self.sources or {} if name not in stated]
        if unknown:
            faults.append(f"sources: there are no figures {', '.join(unknown)} that need one")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def cores(self) -> int:
        """Number of cores of the mesh."""
        return self.mesh[0] * self.mesh[1]

    @property
    def events(self) -> bool:
        """Whether there are energies of events other than routes and synapses."""
        old = ("router", "link", "synapse")
        return any(key not in old and value is not None for key, value in self.energy_pj)

    @property
    def counts_events(self) -> bool:
        """Whether the cost has counts of events: there are energies or times of them."""
        return self.events or self.time_ns is not None

    @property
    def energy_of(self) -> Literal["events", "network"]:
        """Scope of the energy of a sample: only energies of the same scope can be compared.

        `network` is that of routes, and of synapses if there is a figure: there is none of neurons and messages.
        """
        counted = (*PARTS["neurons"], *PARTS["axons"])
        return "events" if any(getattr(self.energy_pj, name) is not None for name in counted) else "network"

    @property
    def latency(self) -> RouteFigures:
        """Times on the route of a spike."""
        return self.time_ns or self.latency_ns  # type: ignore[return-value]  # there is one

    @property
    def routers(self) -> Sides:
        """Routers along x and y."""
        return self.mesh if self.tile is None else (self.mesh[0] // self.tile[0], self.mesh[1] // self.tile[1])

    @property
    def links(self) -> int:
        """Number of links between routers, each direction counted."""
        width, height = self.routers
        return 2 * ((width - 1) * height + width * (height - 1))

    def router_of(self, place: "np.ndarray") -> "np.ndarray":
        """Return x and y of the router of cores at `place` (int32, shape (cores, 2)), in tiles."""
        return place if self.tile is None else place // self.tile

    def chip_of(self, place: "np.ndarray") -> "np.ndarray":
        """Return x and y of the chip of cores at `place` (int32, shape (cores, 2)), in chips."""
        return place // (self.chip or self.mesh)


class HardwareRow(Hardware):
    """A description in the list of all descriptions."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def cores(self) -> int:
        """Number of cores of the mesh."""
        return super().cores


class Limits(NamedTuple):
    """Maximum contents of a core."""

    neurons: int
    axons: int
    synapses: int
    axons_out: int = NO_LIMIT
    memory_bits: int = NO_LIMIT

    @classmethod
    def of(cls, hardware: Hardware) -> "Limits":
        """Return the limits of a hardware description."""
        synapses, memory = hardware.synapses_per_core or NO_LIMIT, hardware.synapse_memory
        if memory is not None and memory.sharing == "none":  # an entry for each synapse
            synapses = min(synapses, memory.entries)
        axons = hardware.axons_per_core
        axons = axons if axons < LARGEST_LIMIT else NO_LIMIT  # an architecture of SANA-FE does not limit them
        out = hardware.axons_out_per_core or NO_LIMIT
        bits = NO_LIMIT if memory is None else memory.bits_per_core
        return cls(hardware.neurons_per_core, axons, synapses, out, bits)


class CoreMemory(Description):
    """Memory of a core that takes a layer: numbers of entries."""

    kernel: Limit
    neurons: Limit
    biases: Limit


MEMORIES = tuple(CoreMemory.model_fields)


class LayerLimits(Description):
    """Limits of a layer on any core; None: not limited."""

    weight_bits: Optional[Limit] = None  # signed
    state_bits: Optional[Limit] = None  # signed, of potentials, thresholds and biases
    input_side: Optional[Limit] = None  # of a map of the input, and of the output before pooling
    output_side: Optional[Limit] = None
    channels: Optional[Limit] = None  # of the input, and of the output
    kernel_side: Optional[Limit] = None
    padding: Optional[Annotated[int, Field(strict=True, ge=0, le=LARGEST_LIMIT)]] = None
    strides: Optional[Tuple[Limit, ...]] = Field(default=None, min_length=1)
    pooling: Tuple[Limit, ...] = ()  # sides of the windows that are summed on the way to the next core
    targets: Optional[Limit] = None  # inputs of cores that a core, or the input, sends its spikes to


class LayerHardware(Description):
    """Description of a chip with a core for each layer."""

    name: Name
    cores: Tuple[CoreMemory, ...] = Field(min_length=1, max_length=MOST_LAYER_CORES)
    layer: LayerLimits = Field(default_factory=LayerLimits)
    source: Text  # source of all figures


AnyHardware = Union[Hardware, LayerHardware]
