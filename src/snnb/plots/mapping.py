"""Figures of a mapping: layers on the mesh, load of cores and links, layers on cores.

Mesh and loads are rasters, so that a mesh of a million cores takes no longer than one
of twenty. Of a large mesh, only the part in use is shown.
"""

from typing import Iterator, NamedTuple, Tuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator
from scipy.sparse import csr_matrix

from snnb.chips.hardware import MEMORIES
from snnb.io.figures import Figure, label_rows, layer_colours, plain, styled
from snnb.mapping.files import Mapping
from snnb.mapping.layers.layer_cost import LayerCost
from snnb.mapping.links import link_loads
from snnb.mapping.routes import Area, port_routers

LARGEST_MESH = 64  # cores along a side up to which the entire mesh is shown
MOST_PIXELS = 640  # along a side of a raster
LARGEST_CORE = 48  # pixels of a core along a side
# Pixels of a core along a side from which its layers, and its fill level, are shown
LAYERS_PIXELS = 8
FILL_PIXELS = 24
EMPTY = (0.93, 0.93, 0.93)
UNUSED = (1.0, 1.0, 1.0)
# Colour maps
LOADS = "Blues"
LINKS = "OrRd"
# Inches: width of a figure, and smallest and largest height of a mesh
WIDTH = 6.0
LOWEST = 1.0
HIGHEST = 6.0
# Inches: height of a layer in the legend, largest height of the legend, and its width
ROW = 0.18
LONGEST_LEGEND = 4.0
BAR = 0.2
MOST_TICKS = 12
# Markers, and the colour of the busiest link
PORT = "v"
LOST_CORE = "x"
BUSIEST = "black"


class Loads(NamedTuple):
    """Spikes of a sample in the part of the mesh that is shown."""

    # Into and out of the cores of each router, -1 if unused: (height, width)
    cores: np.ndarray
    across: np.ndarray  # over the links along x, both ways: (height, width - 1)
    along: np.ndarray  # over the links along y, both ways: (height - 1, width)


def mapping_figures(mapping: Mapping) -> Iterator[Tuple[str, Figure]]:
    """Yield the name and the figure of each plot of a mapping of neurons."""
    yield "mapping", plot_mapping(mapping)
    yield "traffic", plot_traffic(mapping)
    if mapping.cost.energy_by_event_pj is not None:
        yield "events", plot_events(mapping)


@styled
def plot_mapping(mapping: Mapping) -> Figure:
    """Draw the layers on the mesh.

    A core is a square in the colours of its layers, filled in proportion to its
    neurons. If there are many cores, the fill level is omitted, or the core has the
    colour of its largest layer.
    """
    is_used = mapping.per_core["neurons"] > 0
    ports = np.array(mapping.hardware.input_ports or (), np.int64).reshape(-1, 2)
    places = np.concatenate([mapping.place[is_used], ports])
    view = _view(places, mapping.hardware.mesh)
    names = list(mapping.cost.layers)
    mesh_height = _height(view)
    legend_height = min(ROW * len(names), LONGEST_LEGEND)
    figure = Figure(figsize=(WIDTH, mesh_height + legend_height + 1.3))
    ratios = {"height_ratios": (mesh_height, legend_height)}
    axes, legend = figure.subplots(2, 1, gridspec_kw=ratios)
    _show(axes, _layers_raster(mapping, view), view)
    if _pixels(view) >= LAYERS_PIXELS:
        _draw_borders(axes, view)
    title = _title("layers", mapping, view, "cores", mapping.hardware.mesh)
    axes.set_title(title)
    unavailable = np.array(mapping.hardware.unavailable or (), np.int64).reshape(-1, 2)
    _mark(axes, view, ports, PORT, "input port")
    _mark(axes, view, unavailable, LOST_CORE, "unavailable core")
    _show_marks(axes)
    _draw_layers(legend, len(names), legend_height)
    figure.tight_layout()  # gives the legend its height
    label_rows(legend, np.arange(len(names)), names)
    return figure


def _draw_borders(axes: Axes, view: Area) -> None:
    """Draw lines between the cores."""
    columns = view.x + np.arange(view.width + 1) - 0.5
    rows = view.y + np.arange(view.height + 1) - 0.5
    axes.vlines(columns, rows[0], rows[-1], color="white", linewidth=1)
    axes.hlines(rows, columns[0], columns[-1], color="white", linewidth=1)


def _draw_layers(legend: Axes, layers: int, height: float) -> None:
    """Draw the colours of layers below each other, as a bar of a height in inches."""
    colours = layer_colours(layers)[:, None]
    extent = (0, 1, layers - 0.5, -0.5)
    legend.imshow(colours, aspect="auto", extent=extent)
    legend.set_box_aspect(height / BAR)
    legend.set_anchor("W")
    legend.yaxis.tick_right()
    legend.spines[:].set_visible(False)
    legend.set_xticks([])


@styled
def plot_traffic(mapping: Mapping) -> Figure:
    """Draw the spikes of each core, and the spikes over each link in both directions.

    The spikes of a core are those that it sends and receives.
    """
    hardware = mapping.hardware
    is_used = mapping.per_core["neurons"] > 0
    routers = hardware.router_of(mapping.place)[is_used]
    ports = port_routers(hardware)
    view = _view(np.concatenate([routers, ports]), hardware.routers)
    loads = _loads(mapping, view)
    core_scale = _scale(loads.cores)
    link_scale = _scale(np.append(loads.across, loads.along))
    heights = (_height(view), 0.1, 0.1)
    figure = Figure(figsize=(WIDTH, sum(heights) + 2.2))
    ratios = {"height_ratios": heights}
    axes, upper, lower = figure.subplots(3, 1, gridspec_kw=ratios)
    raster, margin = _lattice(loads, core_scale, link_scale)
    _show(axes, raster, view, margin)
    nodes = "cores"
    core_label = "into and out of a core"
    if hardware.tile is not None:
        nodes = "tiles"
        core_label = "into and out of the cores of a tile"
    axes.set_title(_title("spikes a sample", mapping, view, nodes, hardware.routers))
    _mark(axes, view, ports, PORT, "input port")
    _draw_busiest_link(axes, mapping)
    _show_marks(axes)
    _draw_scale(figure, upper, ScalarMappable(core_scale, LOADS), core_label)
    link_colours = ScalarMappable(link_scale, LINKS)
    _draw_scale(figure, lower, link_colours, "over a link, both ways")
    return figure


def _draw_busiest_link(axes: Axes, mapping: Mapping) -> None:
    """Draw the busiest link of a time step as a line, if it is known."""
    step = mapping.cost.step
    if step is not None and step.busiest_link is not None:
        x, y = zip(*step.busiest_link)
        axes.plot(x, y, color=BUSIEST, linewidth=2, marker=".", label="busiest link")


def _scale(loads: np.ndarray) -> Normalize:
    """Return the scale of colours from 0 to the largest load."""
    largest = float(loads.max(initial=0))
    return Normalize(0, max(1e-12, largest))


def _draw_scale(
    figure: Figure,
    bar: Axes,
    colours: ScalarMappable,
    label: str,
) -> None:
    """Draw a scale of colours into the axes `bar`."""
    figure.colorbar(colours, cax=bar, orientation="horizontal", label=label)


@styled
def plot_events(mapping: Mapping) -> Figure:
    """Draw the contents of each core, and the energy of each kind of event.

    If it is known, also draw the time of a core in a step.
    """
    has_times = "step_ns" in mapping.per_core
    rows = 3 if has_times else 2
    figure = Figure(figsize=(WIDTH, 8 if has_times else 5.4))
    contents, energy, *times = figure.subplots(rows, 1)
    cores = np.flatnonzero(mapping.per_core["neurons"])
    line = {"drawstyle": "steps-mid", "marker": "." if cores.size == 1 else ""}
    for name, limit in mapping.cost.limits.items():
        if limit is not None:
            percent = 100 * mapping.per_core[name][cores] / limit
            contents.plot(cores, percent, label=name.replace("_", " "), **line)
    title = f"contents of the cores of {mapping.hardware.name}"
    contents.set(title=title, ylabel="% of the limit")
    contents.axhline(100, color="grey", linewidth=0.8)
    contents.legend(ncols=3)
    _draw_energies(energy, mapping)
    for time in times:
        microseconds = mapping.per_core["step_ns"][cores] / 1000
        time.plot(cores, microseconds, **line)
        title = "time per core and step, mean number of events"
        time.set(title=title, ylabel="µs")
    contents.set_ylim(top=1.35 * contents.get_ylim()[1])  # space for the legend
    for axes in (contents, *times):
        axes.set_xlabel("core")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(_integer_ticks())
    return figure


def _draw_energies(axes: Axes, mapping: Mapping) -> None:
    """Draw a bar for the energy of each kind of event."""
    picojoules = mapping.cost.energy_by_event_pj or {}
    unit = "nJ"
    picojoules_per_unit = 1e3
    if max(picojoules.values(), default=0.0) >= 1e6:
        unit = "µJ"
        picojoules_per_unit = 1e6
    names = [name.replace("_", " ") for name in picojoules]
    energies = [value / picojoules_per_unit for value in picojoules.values()]
    bars = axes.barh(names, energies)
    axes.bar_label(bars, fmt="%.3g", padding=3, fontsize="small")
    axes.margins(x=0.12)
    axes.invert_yaxis()
    axes.set(title="energy per sample by event type", xlabel=unit)


@styled
def plot_layers(cost: LayerCost) -> Figure:
    """Draw the memory, the spikes and the synaptic operations of each layer.

    The memory is the share of the memories of its core.
    """
    layers = cost.layers
    labels = [plain(f"{layer.name}, core {layer.core}") for layer in layers]
    rows = np.arange(len(labels))
    figure = Figure(figsize=(7, (1.2 + 0.3 * len(labels)) * 3))
    memory, spikes, operations = figure.subplots(3, 1)
    _draw_memories(memory, cost)
    spikes_in = [layer.spikes_in for layer in layers]
    spikes_out = [layer.spikes_out for layer in layers]
    spikes.barh(rows - 0.2, spikes_in, 0.35, label="received")
    spikes.barh(rows + 0.2, spikes_out, 0.35, label="sent")
    spikes.set(title="spikes from and to other cores", xlabel="per sample")
    spikes.legend()
    operations.barh(rows, [layer.synaptic_operations for layer in layers], 0.7)
    operations.set(title="synaptic operations", xlabel="per sample")
    for axes in (memory, spikes, operations):
        axes.set_yticks(rows)
        axes.set_yticklabels(labels, fontsize="small")
        axes.invert_yaxis()
    figure.tight_layout()
    return figure


def _draw_memories(axes: Axes, cost: LayerCost) -> None:
    """Draw a bar for each layer and memory: its share of the memory of the core."""
    rows = np.arange(len(cost.layers))
    for number, name in enumerate(MEMORIES):
        percent = []
        for layer in cost.layers:
            capacity = getattr(cost.hardware.cores[layer.core], name)
            percent.append(100 * getattr(layer, name) / capacity)
        axes.barh(rows + (number - 1) * 0.27, percent, 0.25, label=name)
    axes.axvline(100, color="grey", linewidth=0.8)
    title = f"memory of the cores of {cost.hardware.name}"
    axes.set(title=title, xlabel="% of the core")
    axes.legend()


def _view(places: np.ndarray, mesh: Tuple[int, int]) -> Area:
    """Return the mesh, or of a large mesh the part in use with a margin of one core.

    `places` are columns and rows of nodes in use: int (nodes, 2).
    """
    if max(mesh) <= LARGEST_MESH or not len(places):
        return Area(0, 0, *mesh)
    low = np.maximum(places.min(axis=0) - 1, 0)
    high = np.minimum(places.max(axis=0) + 2, mesh)
    width, height = (high - low).tolist()
    return Area(int(low[0]), int(low[1]), width, height)


def _height(view: Area) -> float:
    """Return the height in inches of a mesh that fills the width of a figure."""
    height = 0.8 * WIDTH * view.height / view.width
    return float(np.clip(height, LOWEST, HIGHEST))


def _title(
    subject: str,
    mapping: Mapping,
    view: Area,
    nodes: str,
    mesh: Tuple[int, int],
) -> str:
    """Return the title of a figure of a mesh of `nodes`, which are cores or tiles."""
    title = f"{subject} on {mapping.hardware.name}, {mesh[0]}×{mesh[1]} {nodes}"
    if (view.width, view.height) != mesh:
        title += ", the part in use"
    return title


def _show(axes: Axes, raster: np.ndarray, view: Area, margin: float = 0.5) -> None:
    """Show a raster, shape (height, width, 3), as the part of the mesh in a view.

    There is a `margin` around the centres of the cores at the borders.
    """
    right = view.x + view.width - 1 + margin
    top = view.y + view.height - 1 + margin
    extent = (view.x - margin, right, view.y - margin, top)
    axes.imshow(raster, extent=extent, origin="lower", interpolation="none")
    axes.set_xlabel("x")
    axes.set_ylabel("y")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(_integer_ticks())


def _mark(
    axes: Axes,
    view: Area,
    places: np.ndarray,
    marker: str,
    label: str,
) -> None:
    """Mark places in a view: int (places, 2), columns and rows of the mesh."""
    x, y = places.T
    is_right = (x >= view.x) & (x < view.x + view.width)
    is_visible = is_right & (y >= view.y) & (y < view.y + view.height)
    if is_visible.any():
        style = {"linestyle": "", "color": "black", "markersize": 7}
        if marker != LOST_CORE:  # a cross has no edge
            style["markeredgecolor"] = "white"
        axes.plot(x[is_visible], y[is_visible], marker=marker, label=label, **style)


def _show_marks(axes: Axes) -> None:
    """Show what the marks mean below the mesh, if there are any."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc="upper right",
            bbox_to_anchor=(1.0, -0.12),
            ncols=2,
            frameon=False,
            fontsize="small",
        )


def _integer_ticks() -> MaxNLocator:
    """Return a locator of ticks at integers."""
    return MaxNLocator(MOST_TICKS, integer=True, min_n_ticks=1)


def _pixels(view: Area) -> int:
    """Return the pixels along a side of a core."""
    pixels = MOST_PIXELS // max(view.width, view.height)
    return max(1, min(LARGEST_CORE, pixels))


def layers_of_cores(mapping: Mapping) -> csr_matrix:
    """Count the neurons of each layer on each core.

    Returns
    -------
    csr_matrix
        int64, shape (cores, layers), with the layers of a row ascending.
    """
    sizes = list(mapping.cost.layers.values())
    layer = np.repeat(np.arange(len(sizes)), sizes)
    ones = np.ones(layer.size, np.int64)
    shape = (mapping.cores, len(sizes))
    return csr_matrix((ones, (mapping.core, layer)), shape=shape)


def _layers_raster(mapping: Mapping, view: Area) -> np.ndarray:
    """Return the pixels of the cores: shape (height, width, 3)."""
    pixels = _pixels(view)
    raster = np.empty((view.height * pixels, view.width * pixels, 3))
    raster[:] = UNUSED if pixels == 1 else EMPTY
    members = layers_of_cores(mapping)
    colours = layer_colours(members.shape[1])
    for core in np.flatnonzero(mapping.per_core["neurons"]):
        row = slice(members.indptr[core], members.indptr[core + 1])
        layers = members.indices[row]
        neurons = members.data[row]
        x, y = (mapping.place[core] - (view.x, view.y)) * pixels
        square = raster[y : y + pixels, x : x + pixels]
        if pixels < LAYERS_PIXELS:
            square[:] = colours[layers[np.argmax(neurons)]]
            continue
        fill = pixels
        if pixels >= FILL_PIXELS:
            # A core of an invalid mapping may hold more than the limit.
            share = min(neurons.sum() / mapping.hardware.neurons_per_core, 1)
            fill = max(1, int(np.ceil(pixels * share)))
        ends = np.cumsum(neurons) / neurons.sum()
        centres = (np.arange(pixels) + 0.5) / pixels
        column_layer = layers[np.searchsorted(ends, centres)]
        square[:fill] = colours[column_layer]
    return raster


def _loads(mapping: Mapping, view: Area) -> Loads:
    """Return the spikes of cores and links in the part of the mesh that is shown."""
    place = mapping.hardware.router_of(mapping.place) - (view.x, view.y)
    links = link_loads(mapping.routes, view)
    cores = np.full((view.height, view.width), -1.0)
    is_used = mapping.per_core["neurons"] > 0
    x, y = place[is_used].T
    cores[y, x] = 0.0
    spikes = mapping.per_core["spikes_in"] + mapping.per_core["spikes_out"]
    np.add.at(cores, (y, x), spikes[is_used])
    return Loads(
        cores=cores,
        across=links.right + links.left,
        along=links.up + links.down,
    )


def _lattice(
    loads: Loads,
    core_scale: Normalize,
    link_scale: Normalize,
) -> Tuple[np.ndarray, float]:
    """Return the pixels of cores and links, and half the side of a core.

    Each node is a square of pixels. Its first rows and columns are the core. The rest
    of its rows and columns has the links to the next nodes along y and x.
    """
    height, width = loads.cores.shape
    pixels = max(3, min(LARGEST_CORE, MOST_PIXELS // max(height, width)))
    link_pixels = max(1, pixels // 3)
    core_pixels = pixels - link_pixels
    raster = np.ones((height, pixels, width, pixels, 3))
    core_colours = matplotlib.colormaps[LOADS]
    link_colours = matplotlib.colormaps[LINKS]
    is_unused = loads.cores < 0
    used_colours = core_colours(core_scale(np.maximum(loads.cores, 0)))[..., :3]
    colours = np.where(is_unused[..., None], EMPTY, used_colours)
    raster[:, :core_pixels, :, :core_pixels] = colours[:, None, :, None]
    thickness = max(1, core_pixels // 2)
    begin = (core_pixels - thickness) // 2
    middle = slice(begin, begin + thickness)
    across = link_colours(link_scale(loads.across))
    along = link_colours(link_scale(loads.along))
    raster[:, middle, :-1, core_pixels:] = across[:, None, :, None, :3]
    raster[:-1, core_pixels:, :, middle] = along[:, None, :, None, :3]
    flat_raster = raster.reshape(height * pixels, width * pixels, 3)
    # The last nodes have no links to the next.
    lattice = flat_raster[:-link_pixels, :-link_pixels]
    return lattice, core_pixels / pixels / 2
