"""Figures of a mapping: layers on the mesh, load of cores and links, and whole layers on cores.

Mesh and loads are rasters, so that a mesh of a million cores takes no longer than one of twenty. Of a large mesh, only
the part in use is shown.
"""

from typing import Iterator, NamedTuple, Sequence, Tuple

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

LARGEST_MESH = 64  # cores along a side up to which the entire mesh is shown
MOST_PIXELS = 640  # along a side of a raster
LARGEST_CORE = 48  # pixels of a core along a side
DETAILED, FILLED = 8, 24  # pixels of a core from which its layers, and its fill level, are shown
EMPTY, UNUSED = (0.93, 0.93, 0.93), (1.0, 1.0, 1.0)
LOADS, LINKS = "Blues", "OrRd"  # colour maps
WIDTH, LOWEST, HIGHEST = 6.0, 1.0, 6.0  # inches: width of a figure, height of a mesh
ROW, LONGEST_LEGEND, BAR = 0.18, 4.0, 0.2  # inches: height of a layer in the legend, height and width of the legend
MOST_TICKS = 12


class View(NamedTuple):
    """The part of the mesh that is shown: first column and row, width and height."""

    x: int
    y: int
    width: int
    height: int


def mapping_figures(mapping: Mapping) -> Iterator[Tuple[str, Figure]]:
    """Yield the name and the figure of each plot of a mapping of neurons."""
    yield "mapping", plot_mapping(mapping)
    yield "traffic", plot_traffic(mapping)
    if mapping.cost.energy_by_event_pj is not None:
        yield "events", plot_events(mapping)


@styled
def plot_mapping(mapping: Mapping) -> Figure:
    """Draw the layers on the mesh.

    A core is a square in the colours of its layers, filled in proportion to its neurons. If there are many cores, the
    fill level is omitted, or the core has the colour of its largest layer.
    """
    view = _view(mapping.place[mapping.per_core["neurons"] > 0], mapping.hardware.mesh)
    names = list(mapping.cost.layers)
    heights = (_height(view), min(ROW * len(names), LONGEST_LEGEND))
    figure = Figure(figsize=(WIDTH, sum(heights) + 1.3))
    axes, legend = figure.subplots(2, 1, gridspec_kw={"height_ratios": heights})
    _show(axes, _layers_raster(mapping, view), view)
    if _pixels(view) >= DETAILED:
        borders = [view.x + np.arange(view.width + 1) - 0.5, view.y + np.arange(view.height + 1) - 0.5]
        axes.vlines(borders[0], borders[1][0], borders[1][-1], color="white", linewidth=1)
        axes.hlines(borders[1], borders[0][0], borders[0][-1], color="white", linewidth=1)
    axes.set_title(_title("layers", mapping, view, "cores"))
    legend.imshow(layer_colours(len(names))[:, None], aspect="auto", extent=(0, 1, len(names) - 0.5, -0.5))
    legend.set_box_aspect(heights[1] / BAR)
    legend.set_anchor("W")
    legend.yaxis.tick_right()
    legend.spines[:].set_visible(False)
    legend.set_xticks([])
    figure.tight_layout()  # gives the legend its height
    label_rows(legend, np.arange(len(names)), names)
    return figure


@styled
def plot_traffic(mapping: Mapping) -> Figure:
    """Draw the spikes that each core sends and receives, and the spikes over each link in both directions."""
    hardware = mapping.hardware
    view = _view(hardware.router_of(mapping.place)[mapping.per_core["neurons"] > 0], hardware.routers)
    cores, across, along = _loads(mapping, view)
    scales = [Normalize(0, max(1e-12, float(load.max(initial=0)))) for load in (cores, np.append(across, along))]
    raster, margin = _lattice(cores, across, along, scales)
    heights = (_height(view), 0.1, 0.1)
    figure = Figure(figsize=(WIDTH, sum(heights) + 2.2))
    axes, upper, lower = figure.subplots(3, 1, gridspec_kw={"height_ratios": heights})
    _show(axes, raster, view, margin)
    axes.set_title(_title("spikes a sample", mapping, view, "cores" if hardware.tile is None else "tiles"))
    squares = "a core" if hardware.tile is None else "the cores of a tile"
    for scale, colours, bar, label in (
        (scales[0], LOADS, upper, f"into and out of {squares}"),
        (scales[1], LINKS, lower, "over a link, both ways"),
    ):
        figure.colorbar(ScalarMappable(scale, colours), cax=bar, orientation="horizontal", label=label)
    return figure


@styled
def plot_events(mapping: Mapping) -> Figure:
    """Draw the contents of each core, the energy of each kind of event, and the time of a core in a step if known."""
    timed = "step_ns" in mapping.per_core
    figure = Figure(figsize=(WIDTH, 8 if timed else 5.4))
    contents, energy, *time = figure.subplots(3 if timed else 2, 1)
    cores = np.flatnonzero(mapping.per_core["neurons"])
    line = {"drawstyle": "steps-mid", "marker": "." if cores.size == 1 else ""}
    for name, limit in mapping.cost.limits.items():
        if limit is not None:
            contents.plot(cores, 100 * mapping.per_core[name][cores] / limit, label=name.replace("_", " "), **line)
    contents.set(title=f"contents of the cores of {mapping.hardware.name}", ylabel="% of the limit")
    contents.axhline(100, color="grey", linewidth=0.8)
    contents.legend(ncols=3)
    picojoules = mapping.cost.energy_by_event_pj or {}
    unit, factor = ("µJ", 1e6) if max(picojoules.values(), default=0.0) >= 1e6 else ("nJ", 1e3)
    names = [name.replace("_", " ") for name in picojoules]
    bars = energy.barh(names, [value / factor for value in picojoules.values()])
    energy.bar_label(bars, fmt="%.3g", padding=3, fontsize="small")
    energy.margins(x=0.12)
    energy.invert_yaxis()
    energy.set(title="energy per sample by event type", xlabel=unit)
    for axes in time:
        axes.plot(cores, mapping.per_core["step_ns"][cores] / 1000, **line)
        axes.set(title="time per core and step, mean number of events", ylabel="µs")
    contents.set_ylim(top=1.35 * contents.get_ylim()[1])  # space for the legend
    for axes in (contents, *time):
        axes.set_xlabel("core")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(MOST_TICKS, integer=True, min_n_ticks=1))
    return figure


@styled
def plot_layers(cost: LayerCost) -> Figure:
    """Draw the share of its core's memories that each layer takes, and its spikes and synaptic operations."""
    labels = [plain(f"{row.name}, core {row.core}") for row in cost.layers]
    at, cores = np.arange(len(labels)), cost.hardware.cores
    figure = Figure(figsize=(7, (1.2 + 0.3 * len(labels)) * 3))
    memory, spikes, operations = axes = figure.subplots(3, 1)
    for number, name in enumerate(MEMORIES):
        shares = [100 * getattr(row, name) / getattr(cores[row.core], name) for row in cost.layers]
        memory.barh(at + (number - 1) * 0.27, shares, 0.25, label=name)
    memory.axvline(100, color="grey", linewidth=0.8)
    memory.set(title=f"memory of the cores of {cost.hardware.name}", xlabel="% of the core")
    memory.legend()
    spikes.barh(at - 0.2, [row.spikes_in for row in cost.layers], 0.35, label="received")
    spikes.barh(at + 0.2, [row.spikes_out for row in cost.layers], 0.35, label="sent")
    spikes.set(title="spikes from and to other cores", xlabel="per sample")
    spikes.legend()
    operations.barh(at, [row.synaptic_operations for row in cost.layers], 0.7)
    operations.set(title="synaptic operations", xlabel="per sample")
    for one in axes:
        one.set_yticks(at)
        one.set_yticklabels(labels, fontsize="small")
        one.invert_yaxis()
    figure.tight_layout()
    return figure


def _view(places: np.ndarray, mesh: Tuple[int, int]) -> View:
    """Return the mesh, or of a large mesh the part in use with a margin of one core."""
    if max(mesh) <= LARGEST_MESH or not len(places):
        return View(0, 0, *mesh)
    low = np.maximum(places.min(axis=0) - 1, 0)
    high = np.minimum(places.max(axis=0) + 2, mesh)
    return View(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))


def _height(view: View) -> float:
    """Return the height in inches of a mesh that fills the width of a figure."""
    return float(np.clip(0.8 * WIDTH * view.height / view.width, LOWEST, HIGHEST))


def _title(what: str, mapping: Mapping, view: View, squares: str) -> str:
    mesh = mapping.hardware.mesh if squares == "cores" else mapping.hardware.routers
    part = "" if (view.width, view.height) == mesh else ", the part in use"
    return f"{what} on {mapping.hardware.name}, {mesh[0]}×{mesh[1]} {squares}{part}"


def _show(axes: Axes, raster: np.ndarray, view: View, margin: float = 0.5) -> None:
    """Show a raster, shape (height, width, 3), as that part of the mesh, with `margin` around the centres of cores."""
    ends = (view.x + view.width - 1 + margin, view.y + view.height - 1 + margin)
    extent = (view.x - margin, ends[0], view.y - margin, ends[1])
    axes.imshow(raster, extent=extent, origin="lower", interpolation="none")
    axes.set_xlabel("x")
    axes.set_ylabel("y")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(MOST_TICKS, integer=True, min_n_ticks=1))


def _pixels(view: View) -> int:
    """Return the pixels along a side of a core."""
    return max(1, min(LARGEST_CORE, MOST_PIXELS // max(view.width, view.height)))


def layers_of_cores(mapping: Mapping) -> csr_matrix:
    """Count the neurons of each layer on each core: int64, shape (cores, layers), with the layers ascending."""
    sizes = list(mapping.cost.layers.values())
    layer = np.repeat(np.arange(len(sizes)), sizes)
    return csr_matrix((np.ones(layer.size, np.int64), (mapping.core, layer)), shape=(mapping.cores, len(sizes)))


def _layers_raster(mapping: Mapping, view: View) -> np.ndarray:
    """Return the pixels of the cores: shape (height, width, 3)."""
    pixels = _pixels(view)
    raster = np.empty((view.height * pixels, view.width * pixels, 3))
    raster[:] = UNUSED if pixels == 1 else EMPTY
    members, limit = layers_of_cores(mapping), mapping.hardware.neurons_per_core
    colours = layer_colours(members.shape[1])
    for core in np.flatnonzero(mapping.per_core["neurons"]):
        row = slice(members.indptr[core], members.indptr[core + 1])
        layers, neurons = members.indices[row], members.data[row]
        x, y = (mapping.place[core] - (view.x, view.y)) * pixels
        if pixels < DETAILED:
            raster[y : y + pixels, x : x + pixels] = colours[layers[np.argmax(neurons)]]
            continue
        share = min(neurons.sum() / limit, 1)  # a core of an invalid mapping may hold more
        filled = max(1, int(np.ceil(pixels * share))) if pixels >= FILLED else pixels
        ends = np.cumsum(neurons) / neurons.sum()
        column = np.searchsorted(ends, (np.arange(pixels) + 0.5) / pixels)
        raster[y : y + filled, x : x + pixels] = colours[layers[column]]
    return raster


def _loads(mapping: Mapping, view: View) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the spikes of routers' cores, shape (height, width), −1 if unused, and of the links along x and y."""
    place = mapping.hardware.router_of(mapping.place) - (view.x, view.y)
    links = link_loads(mapping.traffic, place, (view.width, view.height))
    across, along = links.right + links.left, links.up + links.down
    cores = np.full((view.height, view.width), -1.0)
    is_used = mapping.per_core["neurons"] > 0
    x, y = place[is_used].T
    cores[y, x] = 0.0
    np.add.at(cores, (y, x), (mapping.per_core["spikes_in"] + mapping.per_core["spikes_out"])[is_used])
    return cores, across, along


def _lattice(
    cores: np.ndarray, across: np.ndarray, along: np.ndarray, scales: Sequence[Normalize]
) -> Tuple[np.ndarray, float]:
    """Return the pixels of cores and links, and half the side of a core."""
    pixels = max(3, min(LARGEST_CORE, MOST_PIXELS // max(cores.shape)))
    link = max(1, pixels // 3)
    body = pixels - link
    height, width = cores.shape
    raster = np.ones((height, pixels, width, pixels, 3))
    blues, reds = (matplotlib.colormaps[name] for name in (LOADS, LINKS))
    colour = np.where((cores < 0)[..., None], EMPTY, blues(scales[0](np.maximum(cores, 0)))[..., :3])
    raster[:, :body, :, :body] = colour[:, None, :, None]
    thick = max(1, body // 2)
    middle = slice((body - thick) // 2, (body - thick) // 2 + thick)
    raster[:, middle, :-1, body:] = reds(scales[1](across))[:, None, :, None, :3]
    raster[:-1, body:, :, middle] = reds(scales[1](along))[:, None, :, None, :3]
    pixels_of_all = raster.reshape(height * pixels, width * pixels, 3)
    return pixels_of_all[:-link, :-link], body / pixels / 2
