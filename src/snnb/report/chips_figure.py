"""Simulations on several chips: what they reach, over the energy of a sample."""

from pathlib import Path
from typing import List, NamedTuple, Sequence

import numpy as np
from matplotlib.figure import Figure

from snnb.io.colours import HUES
from snnb.io.figures import label_points, legend_width, plain, save, styled

FEW = 40  # points that are named


class OnChip(NamedTuple):
    """A simulation on a chip."""

    chip: str
    options: str
    energy_pj: float  # of a sample
    measured: float
    network_only: bool = False  # whether the energy is that of routers and links only


def pareto_front(energy: np.ndarray, loss: np.ndarray) -> List[int]:
    """Return the points than which no other takes less energy and loses no more, or the same and less, by energy.

    Parameters
    ----------
    energy, loss : (points,) float64 array; less is better of both
    """
    front: List[int] = []
    for point in np.lexsort((loss, energy)).tolist():
        if not front or loss[point] < loss[front[-1]]:
            front.append(point)
    return front


@styled
def plot_chips(path: Path, points: Sequence[OnChip], label: str, *, highest_is_best: bool) -> None:
    """Plot a point for each simulation and chip, in a colour for each chip, and the Pareto front.

    Chips without energies of neurons and synapses are hollow points, and not in the front of others that have them.

    Parameters
    ----------
    path : PNG, SVG or PDF file
    points : may be empty, where the network fits on no chip
    label : what is measured
    highest_is_best : whether more is better, as of an accuracy
    """
    chips = sorted({point.chip for point in points})
    figure = Figure(figsize=(6.5 + legend_width([f"{chip} (network only)" for chip in chips], 1), 4.0))
    plot = figure.subplots()
    energy, measured = (np.array([getattr(point, name) for point in points]) for name in ("energy_pj", "measured"))
    partial = np.array([point.network_only for point in points], bool)
    compared = np.flatnonzero(~partial if not partial.all() else partial)
    front = compared[pareto_front(energy[compared], (-measured if highest_is_best else measured)[compared])]
    rings = {"marker": "o", "markersize": 10, "fillstyle": "none", "linewidth": 1, "linestyle": "dashed"}
    plot.plot(energy[front], measured[front], color="black", label="Pareto front", **rings)
    for i, chip in enumerate(chips):
        own = [k for k, point in enumerate(points) if point.chip == chip]
        hollow = points[own[0]].network_only
        fill = {"fillstyle": "none" if hollow else "full", "label": plain(chip) + (" (network only)" if hollow else "")}
        plot.plot(energy[own], measured[own], "o", color=HUES[i % len(HUES)], markersize=5, **fill)
    if points and energy.min() > 0:
        plot.set_xscale("log")
    plot.set_xlabel("energy of a sample (pJ)")
    plot.set_ylabel(label)
    plot.grid()
    plot.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    if len(points) <= FEW:
        colours = [HUES[chips.index(point.chip) % len(HUES)] for point in points]
        label_points(plot, energy, measured, [plain(point.options, 40) for point in points], colours)
    save(figure, path)
