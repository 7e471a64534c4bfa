"""Figures of a mapping: layers on the mesh, and load of cores and links.

Both are rasters, so that a mesh of a million cores takes no longer than one of twenty. Of a large mesh, only the part
in use is shown.
"""

from pathlib import Path
from typing import NamedTuple, Sequence, Tuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.sparse import csr_matrix

from snnb.io.colours import layer_colours
from snnb.io.figures import label_rows, save, styled
from snnb.mapping.events import EventCost
from snnb.mapping.limits import NO_LIMIT, Limits
from snnb.mapping.map_network import MappedNetwork
from snnb.mapping.mesh import link_loads

LARGEST_MESH = 64  # cores along a side up to which the entire mesh is shown
MOST_PIXELS = 640  # along a side of a raster
LARGEST_CORE = 48  # pixels of a core along a side
DETAILED, FILLED = 8, 24  # pixels of a core from which its layers, and its fill level, are shown
EMPTY, UNUSED, LINE = (0.93, 0.93, 0.93), (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)
LOADS, LINKS = "Blues", "OrRd"  # colour maps
ROW, LOWEST, HIGHEST, WIDTH = 0.12, 5.0, 16.0, 9.0  # inches
MOST_TICKS = 12


class View(NamedTuple):
    """The part of the mesh that is shown: first column and row, width and height."""

    x: int
    y: int
    width: int
    height: int


@styled
def plot_mapping(path: Path, mapped: MappedNetwork) -> None:
    """Draw the layers on the mesh.

    A core is a square in the colours of its layers, filled in proportion to its neurons. If there are many cores, the
    fill level is omitted, or the core has the colour of its largest layer.
    """
    view = _view(mapped.place[mapped.cost.neurons > 0], mapped.hardware.mesh)
    names = [population.name for population in mapped.network.populations]
    figure = Figure(figsize=(WIDTH, float(np.clip(2 + ROW * len(names), LOWEST, HIGHEST))))
    axes, legend = figure.subplots(1, 2, gridspec_kw={"width_ratios": (30, 1)})
    _show(axes, _layers_raster(mapped, view), view)
    axes.set_title(_title("layers", mapped, view, "cores"))
    legend.imshow(layer_colours(len(names))[:, None], aspect="auto")
    legend.set_xticks([])
    legend.set_ylim(len(names) - 0.5, -0.5)
    legend.yaxis.tick_right()
    label_rows(legend, np.arange(len(names)), names)
    save(figure, path)


@styled
def plot_traffic(path: Path, mapped: MappedNetwork) -> None:
    """Draw the spikes that each core sends and receives, and the spikes over each link in both directions."""
    hardware = mapped.hardware
    view = _view(hardware.router_of(mapped.place)[mapped.cost.neurons > 0], hardware.routers)
    cores, across, along = _loads(mapped, view)
    scales = [Normalize(0, max(1e-12, float(load.max(initial=0)))) for load in (cores, np.append(across, along))]
    raster, margin = _lattice(cores, across, along, scales)
    figure = Figure(figsize=(WIDTH, LOWEST + 1))
    axes, left, right = figure.subplots(1, 3, gridspec_kw={"width_ratios": (30, 1, 1)})
    _show(axes, raster, view, margin)
    axes.set_title(_title("spikes a sample", mapped, view, "cores" if hardware.tile is None else "tiles"))
    figure.colorbar(
        ScalarMappable(scales[0], LOADS),
        cax=left,
        label="into and out of a core" if hardware.tile is None else "into and out of the cores of a tile",
    )
    figure.colorbar(ScalarMappable(scales[1], LINKS), cax=right, label="over a link, both ways")
    save(figure, path)


@styled
def plot_events(path: Path, mapped: MappedNetwork, events: EventCost) -> None:
    """Draw how full each core is, the energy of each kind of event, and the time of each core in a step."""
    figure = Figure(figsize=(WIDTH, 2 * LOWEST))
    filled, energy, time = figure.subplots(3, 1)
    cores = np.flatnonzero(mapped.cost.neurons)
    line = {"drawstyle": "steps-mid", "marker": "." if cores.size == 1 else ""}
    limits = Limits.of(mapped.hardware)._asdict()
    for name, numbers in mapped.cost.contents.items():
        if limits[name] != NO_LIMIT:
            filled.plot(cores, 100 * numbers[cores] / limits[name], label=name.replace("_", " "), **line)
    filled.set(title=f"contents of the cores on {mapped.hardware.name}", ylabel="% of the limit")
    filled.axhline(100, color="grey", linewidth=0.8)
    filled.legend(ncols=5, loc="lower left", bbox_to_anchor=(0.4, 1))
    names = list(events.energy_pj)
    most = max(events.energy_pj.values(), default=0.0)
    unit, factor = ("µJ", 1e6) if most >= 1e6 else ("nJ", 1e3)
    energy.barh(names, [value / factor for value in events.energy_pj.values()])
    energy.invert_yaxis()
    energy.set(title="energy of a sample by kind of event", xlabel=unit)
    time.plot(cores, events.core_ns[cores] / 1000, **line)
    time.set(title="time of a core in a time step with the mean number of events", ylabel="µs")
    for axes in (filled, time):
        axes.set_xlabel("core")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(MOST_TICKS, integer=True, min_n_ticks=1))
    save(figure, path)


def _view(places: np.ndarray, mesh: Tuple[int, int]) -> View:
    """Return the mesh, or of a large mesh the part in use with a margin of one core."""
    if max(mesh) <= LARGEST_MESH or not len(places):
        return View(0, 0, *mesh)
    low = np.maximum(places.min(axis=0) - 1, 0)
    high = np.minimum(places.max(axis=0) + 2, mesh)
    return View(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))


def _title(what: str, mapped: MappedNetwork, view: View, squares: str) -> str:
    mesh = mapped.hardware.mesh if squares == "cores" else mapped.hardware.routers
    part = "" if (view.width, view.height) == mesh else ", the part in use"
    return f"{what} on {mapped.hardware.name}, {mesh[0]}×{mesh[1]} {squares}{part}"


def _show(axes: Axes, raster: np.ndarray, view: View, margin: float = 0.5) -> None:
    """Show a raster, shape (height, width, 3), as that part of the mesh, with `margin` around the centres of cores."""
    ends = (view.x + view.width - 1 + margin, view.y + view.height - 1 + margin)
    extent = (view.x - margin, ends[0], view.y - margin, ends[1])
    axes.imshow(raster, extent=extent, origin="lower", interpolation="nearest")
    axes.set_anchor("E")  # next to the legend
    axes.set_xlabel("x")
    axes.set_ylabel("y")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(MOST_TICKS, integer=True, min_n_ticks=1))


def _members(mapped: MappedNetwork) -> csr_matrix:
    """Return the neurons of each core in each population: shape (cores, populations)."""
    sizes = [population.size for population in mapped.network.populations]
    of = np.repeat(np.arange(len(sizes)), sizes)
    shape = (len(mapped.place), len(sizes))
    return csr_matrix((np.ones(of.size, np.int64), (mapped.core, of)), shape=shape)


def _layers_raster(mapped: MappedNetwork, view: View) -> np.ndarray:
    """Return the pixels of the cores: shape (height, width, 3)."""
    pixels = max(1, min(LARGEST_CORE, MOST_PIXELS // max(view.width, view.height)))
    raster = np.empty((view.height * pixels, view.width * pixels, 3))
    raster[:] = UNUSED if pixels == 1 else EMPTY
    members, limit = _members(mapped), mapped.hardware.neurons_per_core
    colours = layer_colours(members.shape[1])
    inside = pixels - 1 if pixels >= DETAILED else pixels
    for core in np.flatnonzero(mapped.cost.neurons):
        row = slice(members.indptr[core], members.indptr[core + 1])
        layers, neurons = members.indices[row], members.data[row]
        x, y = (mapped.place[core] - (view.x, view.y)) * pixels
        if pixels < DETAILED:
            raster[y : y + pixels, x : x + pixels] = colours[layers[np.argmax(neurons)]]
            continue
        filled = max(1, int(np.ceil(inside * neurons.sum() / limit))) if pixels >= FILLED else inside
        order = np.argsort(layers)
        ends = np.cumsum(neurons[order]) / neurons.sum()
        column = np.searchsorted(ends, (np.arange(inside) + 0.5) / inside)
        raster[y : y + filled, x : x + inside] = colours[layers[order][column]]
    if pixels >= DETAILED:
        raster[pixels - 1 :: pixels] = LINE
        raster[:, pixels - 1 :: pixels] = LINE
    return raster


def _loads(mapped: MappedNetwork, view: View) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the spikes of routers' cores, shape (height, width), −1 if unused, and of the links along x and y."""
    rows, columns = slice(view.y, view.y + view.height), slice(view.x, view.x + view.width)
    place, mesh = mapped.hardware.router_of(mapped.place), mapped.hardware.routers
    links = link_loads(mapped.traffic, place, mesh)
    across = (links.right + links.left)[rows, view.x : view.x + view.width - 1]
    along = (links.up + links.down)[view.y : view.y + view.height - 1, columns]
    cores = np.full((view.height, view.width), -1.0)
    used = mapped.cost.neurons > 0
    x, y = (place[used] - (view.x, view.y)).T
    cores[y, x] = 0.0
    np.add.at(cores, (y, x), (mapped.cost.spikes_in + mapped.cost.spikes_out)[used])
    return cores, across, along


def _lattice(
    cores: np.ndarray, across: np.ndarray, along: np.ndarray, scales: Sequence[Normalize]
) -> Tuple[np.ndarray, float]:
    """Return the pixels of cores and links, and half the side of a core; many cores are reduced by their maximum."""
    few = -(-max(cores.shape) * 4 // (2 * MOST_PIXELS))
    cores, across, along = (_coarse(load, few) for load in (cores, _padded(across, cores), _padded(along, cores)))
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
    raster[:, middle, :-1, body:] = reds(scales[1](across))[:, None, :-1, None, :3]
    raster[:-1, body:, :, middle] = reds(scales[1](along))[:-1, None, :, None, :3]
    pixels_of_all = raster.reshape(height * pixels, width * pixels, 3)
    return pixels_of_all[:-link, :-link], body / pixels / 2 if few == 1 else 0.5


def _padded(load: np.ndarray, cores: np.ndarray) -> np.ndarray:
    """Pad the loads of links by a row or column to the shape of the cores."""
    return np.pad(load, [(0, more - less) for more, less in zip(cores.shape, load.shape)])


def _coarse(load: np.ndarray, few: int) -> np.ndarray:
    """Return the maximum of each block of `few` × `few`."""
    padded = np.pad(load, [(0, -length % few) for length in load.shape], constant_values=-1.0)
    height, width = (length // few for length in padded.shape)
    blocks: np.ndarray = padded.reshape(height, few, width, few).max(axis=(1, 3))
    return blocks
