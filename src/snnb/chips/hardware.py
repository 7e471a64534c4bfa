"""Content of a hardware description.

It has the mesh, limits of cores, energies and times of events; or cores that take a
layer each.
"""

from typing import (
    TYPE_CHECKING,
    Dict,
    List,
    Literal,
    NamedTuple,
    Optional,
    Tuple,
    Union,
)

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
ALWAYS_STATED = (
    "synapses_per_core",
    "synapse",
)  # in cost.json, also if they are absent
# Keys that need an entry in `sources`: `energy_pj` if it has more than router, link and
# synapse
SOURCED = (
    "tile",
    "chip",
    "input_ports",
    "axons_out_per_core",
    "synapse_memory",
    "energy_pj",
    "time_ns",
)
Side = Annotated[int, Field(strict=True, ge=1, le=LARGEST_SIDE)]
Sides = Tuple[Side, Side]  # along x and along y
FromZero = Annotated[int, Field(strict=True, ge=0)]
Position = Tuple[FromZero, FromZero]  # x and y on the mesh
Positions = Annotated[Tuple[Position, ...], Field(min_length=1)]
Limit = Annotated[int, Field(strict=True, ge=1, le=LARGEST_LIMIT)]
LimitFromZero = Annotated[int, Field(strict=True, ge=0, le=LARGEST_LIMIT)]
Figure = Annotated[float, Field(strict=True, ge=0, le=1e12)]
TimesByTiles = Annotated[Dict[Annotated[int, Field(ge=0)], Figure], Field(min_length=1)]
Text = Annotated[str, Field(strict=True, min_length=1, max_length=10_000)]
Name = Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9_.-]{1,60}$")]
MOST_LAYER_CORES = 1024


class Description(Document):
    """A part of a hardware description."""

    @model_serializer(mode="wrap")
    def _omit_absent(
        self, serialise: SerializerFunctionWrapHandler
    ) -> Dict[str, object]:
        content: Dict[str, object] = {}
        for key, value in serialise(self).items():
            if value is not None or key in ALWAYS_STATED:
                content[key] = value
        return content


class RouteFigures(Description):
    """Energy (pJ) or time (ns) of a spike on its way to another core.

    Figures are those of each router and each link of its route, which begins with the
    router of the sending core.
    """

    router: Figure
    link: Optional[Figure] = None  # or `link_x` and `link_y`
    link_x: Optional[Figure] = None
    link_y: Optional[Figure] = None
    # Of a link between chips; None: the figure of any link
    between_chips: Optional[Figure] = None

    @model_validator(mode="after")
    def _has_links(self) -> "RouteFigures":
        has_link = self.link is not None
        if (self.link_x is None) != has_link or (self.link_y is None) != has_link:
            raise ValueError("give link, or link_x and link_y")
        return self

    def sum_routes(
        self,
        hops: "np.ndarray",
        borders: "np.ndarray",
        *,
        with_first_router: bool = True,
    ) -> "np.ndarray":
        """Sum up the figures over the routers and links of routes.

        The sums are float64, shape (routes,).

        Parameters
        ----------
        hops : (2, routes) int64 array
            Links along x and along y.
        borders : (2, routes) int64 array
            Links along x and along y that lead to another chip.
        with_first_router : bool
            Whether the router of the sending core counts.
        """
        routers = (hops.sum(axis=0) + with_first_router) * self.router
        if self.link is not None and self.between_chips is None:
            return routers + hops.sum(axis=0) * self.link
        figure_x = self.link_x if self.link is None else self.link
        figure_y = self.link_y if self.link is None else self.link
        if self.between_chips is None:
            return routers + (hops[0] * figure_x + hops[1] * figure_y)
        links_inside = hops - borders
        inside = links_inside[0] * figure_x + links_inside[1] * figure_y
        return routers + (inside + borders.sum(axis=0) * self.between_chips)


class EventFigures(RouteFigures):
    """Energies (pJ) or times (ns) of events; None is not counted.

    The events are the ones of SANA-FE.
    """

    synapse: Optional[Figure] = None  # of a spike at a synapse
    # Update of a neuron in a time step: without input, bias and potential, and of any
    # other
    neuron_inactive: Optional[Figure] = None
    neuron_active: Optional[Figure] = None
    spike: Optional[Figure] = None  # of a neuron, besides the update
    # Message of a spike to a core that holds a target of the neuron: where it is sent,
    # and where it is received
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
    barrier: Union[Figure, TimesByTiles, None] = None
    # Time for which a spike takes a link: a step lasts at least as long as the spikes
    # of its busiest link take, with unicast (the default) or multicast routing
    link_spike: Optional[Figure] = None
    routing: Optional[Literal["unicast", "multicast"]] = None

    @model_validator(mode="after")
    def _routing_has_effect(self) -> "TimesNs":
        if self.routing is not None and self.link_spike is None:
            raise ValueError("routing has no effect without link_spike")
        return self

    def barrier_of(self, tiles: int) -> float:
        """Return the time of the end of a step with a number of tiles in use.

        It is looked up as in SANA-FE's `LookupTable`.
        """
        if not isinstance(self.barrier, dict):
            return self.barrier or 0.0
        keys = [key for key in self.barrier if key <= tiles]
        key = max(keys) if keys else min(self.barrier)
        return self.barrier[key]


class SynapseMemory(Description):
    """Memory of a core for synapses."""

    bits_per_core: Limit
    # Of an entry of a list: the list of a source has its synapses onto the neurons of
    # the core
    weight_bits: Limit
    index_bits: LimitFromZero = 0
    # kernel: sources whose lists are equal up to a shift share one
    sharing: Literal["kernel", "none"] = "none"

    @property
    def entries(self) -> int:
        """Number of entries that the memory of a core holds."""
        return self.bits_per_core // (self.weight_bits + self.index_bits)


class Hardware(Description):
    """Hardware description of a chip."""

    name: Name
    mesh: Sides  # cores
    # Cores that share a router: hops are counted between tiles; None: each core has one
    tile: Optional[Sides] = None
    chip: Optional[Sides] = None  # cores of a chip; None: there is one chip
    # Positions whose routers take spikes from outside; None: the input takes no routes
    input_ports: Optional[Positions] = None
    # Positions of cores that hold no neurons; their routers work
    unavailable: Optional[Positions] = None
    neurons_per_core: Limit
    # Distinct neurons whose spikes the synapses of a core receive, including neurons of
    # the core itself
    axons_per_core: Limit
    # Pairs of a neuron and a core that holds targets of it
    axons_out_per_core: Optional[Limit] = None
    synapses_per_core: Optional[Limit] = None  # None: not limited
    synapse_memory: Optional[SynapseMemory] = None
    # Chip that the energies and times are of, if it is another one
    figures_of: Optional[Text] = None
    energy_pj: EventFigures
    latency_ns: Optional[RouteFigures] = None  # or `time_ns`
    time_ns: Optional[TimesNs] = None
    source: Text  # source of all other figures
    sources: Optional[Dict[str, Text]] = None  # sources of the figures of these keys

    @model_validator(mode="after")
    def _is_consistent(self) -> "Hardware":
        faults = [
            *self._side_faults(),
            *self._position_faults("input_ports", self.input_ports),
            *self._position_faults("unavailable", self.unavailable),
            *self._source_faults(),
        ]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _side_faults(self) -> List[str]:
        """Return the parts of the chip that do not fill what they are a part of."""
        faults: List[str] = []
        chip_tile = self.tile if self.chip is not None else None
        for name, part, whole_name, whole_sides in (
            ("tile", self.tile, "mesh", self.mesh),
            ("chip", self.chip, "mesh", self.mesh),
            ("tile", chip_tile, "chip", self.chip or self.mesh),
        ):
            if part is not None and (
                whole_sides[0] % part[0] or whole_sides[1] % part[1]
            ):
                cores = f"{whole_sides[0]} × {whole_sides[1]} cores"
                faults.append(
                    f"{whole_name}: {cores} are not a multiple of the {name}'s, {part}",
                )
        return faults

    def _position_faults(
        self,
        name: str,
        positions: Optional[Positions],
    ) -> List[str]:
        """Return the first fault of a list of positions, or nothing.

        A position is not on the mesh, or listed twice, or all are unavailable.
        """
        if positions is None:
            return []
        width, height = self.mesh
        faults: List[str] = []
        for x, y in positions:
            if x >= width or y >= height:
                mesh = f"the mesh of {width} × {height}"
                faults.append(f"{name}: {[x, y]} is not on {mesh}")
        if len(set(positions)) < len(positions):
            faults.append(f"{name}: a position is listed twice")
        if name == "unavailable" and len(positions) >= width * height:
            faults.append(f"{name}: no core is left")
        return faults[:1]

    def _source_faults(self) -> List[str]:
        """Return what is wrong with the figures of time and the sources of figures.

        The figures of `SOURCED` need an entry in `sources`, and others have none.
        """
        faults: List[str] = []
        if (self.latency_ns is None) == (self.time_ns is None):
            faults.append("give latency_ns or time_ns, one of them")
        sources = self.sources or {}
        sourced_keys: List[str] = []
        for name in SOURCED:
            is_sourced = name != "energy_pj" or self.events
            if getattr(self, name) is not None and is_sourced:
                sourced_keys.append(name)
        unsourced_keys = [name for name in sourced_keys if name not in sources]
        if unsourced_keys:
            names = ", ".join(unsourced_keys)
            faults.append(f"{names}: no source, name it under sources")
        idle_keys = [name for name in sources if name not in sourced_keys]
        if idle_keys:
            names = ", ".join(idle_keys)
            faults.append(f"sources: there are no figures {names} that need one")
        return faults

    @property
    def cores(self) -> int:
        """Number of cores of the mesh that are available."""
        return self.mesh[0] * self.mesh[1] - len(self.unavailable or ())

    @property
    def figures_text(self) -> Optional[str]:
        """Sentence about the figures of another chip; None if they are its own."""
        if self.figures_of is None:
            return None
        has_times = self.time_ns is not None or self.latency_ns is not None
        figures = "energies and times" if has_times else "energies"
        return f"{self.name}: {figures} of {self.figures_of}"

    @property
    def cores_text(self) -> str:
        """Number of cores as text, with the number of unavailable ones."""
        if self.unavailable is None:
            return f"{self.cores:,} cores"
        positions = self.mesh[0] * self.mesh[1]
        return f"{self.cores:,} available cores (of {positions:,})"

    @property
    def events(self) -> bool:
        """Whether there are energies besides `router`, `link` and `synapse`.

        They are those of neurons and messages, but also of links along x and y, and
        between chips.
        """
        keys = {key for key, value in self.energy_pj if value is not None}
        return not keys <= {"router", "link", "synapse"}

    @property
    def counts_events(self) -> bool:
        """Whether the cost has counts of events: see `events`, or there are times."""
        return self.events or self.time_ns is not None

    @property
    def energy_of(self) -> Literal["events", "network"]:
        """Scope of the energy of a sample.

        Only energies of the same scope can be compared. `network` is the energy of
        routes, and of synapses if there is a figure: there are no figures of neurons
        and messages.
        """
        for name in (*PARTS["neurons"], *PARTS["axons"]):
            if getattr(self.energy_pj, name) is not None:
                return "events"
        return "network"

    @property
    def latency(self) -> RouteFigures:
        """Times on the route of a spike."""
        times = self.time_ns or self.latency_ns
        assert times is not None  # see `_is_consistent`
        return times

    @property
    def routers(self) -> Sides:
        """Routers along x and y."""
        if self.tile is None:
            return self.mesh
        return self.mesh[0] // self.tile[0], self.mesh[1] // self.tile[1]

    @property
    def links(self) -> int:
        """Number of links between routers, each direction counted."""
        width, height = self.routers
        return 2 * ((width - 1) * height + width * (height - 1))

    def router_of(self, place: "np.ndarray") -> "np.ndarray":
        """Return x and y of the router of cores, in tiles.

        `place` and the result are int32, shape (cores, 2).
        """
        return place if self.tile is None else place // self.tile

    def chip_of(self, place: "np.ndarray") -> "np.ndarray":
        """Return x and y of the chip of cores, in chips.

        `place` and the result are int32, shape (cores, 2).
        """
        return place // (self.chip or self.mesh)


class HardwareRow(Hardware):
    """A description in the list of all descriptions."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def cores(self) -> int:
        """Number of cores of the mesh that are available."""
        return super().cores


class Limits(NamedTuple):
    """Maximum contents of a core; `NO_LIMIT` where the description has no limit."""

    neurons: int
    axons: int
    synapses: int
    axons_out: int = NO_LIMIT
    memory_bits: int = NO_LIMIT

    @classmethod
    def of(cls, hardware: Hardware) -> "Limits":
        """Return the limits of a hardware description."""
        memory = hardware.synapse_memory
        synapses = hardware.synapses_per_core or NO_LIMIT
        if memory is not None and memory.sharing == "none":  # an entry for each synapse
            synapses = min(synapses, memory.entries)
        axons = hardware.axons_per_core
        if axons >= LARGEST_LIMIT:  # an architecture of SANA-FE does not limit them
            axons = NO_LIMIT
        return cls(
            neurons=hardware.neurons_per_core,
            axons=axons,
            synapses=synapses,
            axons_out=hardware.axons_out_per_core or NO_LIMIT,
            memory_bits=NO_LIMIT if memory is None else memory.bits_per_core,
        )


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
    # Of a map of the input, and of the output before pooling
    input_side: Optional[Limit] = None
    output_side: Optional[Limit] = None
    channels: Optional[Limit] = None  # of the input, and of the output
    kernel_side: Optional[Limit] = None
    padding: Optional[LimitFromZero] = None
    strides: Optional[Tuple[Limit, ...]] = Field(default=None, min_length=1)
    # Sides of the windows that are summed on the way to the next core
    pooling: Tuple[Limit, ...] = ()
    # Inputs of cores that a core, or the input, sends its spikes to
    targets: Optional[Limit] = None


class LayerHardware(Description):
    """Description of a chip with a core for each layer."""

    name: Name
    cores: Tuple[CoreMemory, ...] = Field(min_length=1, max_length=MOST_LAYER_CORES)
    # Numbers of cores that take no layer
    unavailable: Optional[Annotated[Tuple[FromZero, ...], Field(min_length=1)]] = None
    layer: LayerLimits = Field(default_factory=LayerLimits)
    source: Text  # source of all figures

    @model_validator(mode="after")
    def _has_these_cores(self) -> "LayerHardware":
        numbers = self.unavailable or ()
        n_cores = len(self.cores)
        for number in numbers:
            if number >= n_cores:
                raise ValueError(
                    f"unavailable: {number} is not one of the {n_cores:,} cores, which "
                    "are numbered from 0"
                )
        if len(set(numbers)) < len(numbers):
            raise ValueError("unavailable: a core is listed twice")
        if len(numbers) == n_cores:
            raise ValueError("unavailable: no core is left")
        return self


AnyHardware = Union[Hardware, LayerHardware]
