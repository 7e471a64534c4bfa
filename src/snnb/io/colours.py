"""Colours of all figures, of matplotlib and of the report."""

import matplotlib
import numpy as np

HUES = ("#2364aa", "#d1495b", "#3d8b5a", "#b8860b", "#6a4c93", "#0e7c7b", "#8d6e63", "#5f6b7a", "#c2185b", "#7cb342")


def layer_colours(layers: int) -> np.ndarray:
    """Return a colour for each layer, from blue (the first) to red (the last): float64, shape (layers, 3), 0 to 1."""
    return np.asarray(matplotlib.colormaps["turbo"](np.linspace(0.03, 0.97, layers)))[:, :3]
