"""Read trained spiking networks, from files of NIR or of lava-dl.

The extension of a file states its format: `LAVA_DL`, or else NIR.
"""

from pathlib import Path
from typing import Optional, Tuple

from snnb.model_files import lava_dl, nir_network
from snnb.model_files.kinds import LAVA_DL, NirSettings
from snnb.model_files.spiking_model import SpikingModel
from snnb.network.geometry import Shape


def read_spiking(
    path: Path,
    settings: NirSettings,
    samples: Optional[Shape] = None,
) -> SpikingModel:
    """Read a spiking network.

    `settings` are for NIR only. `samples` is the shape (height, width, channels) of the
    samples of the data set, see `input_shape`. Raise `InputError` if the network cannot
    be read, with the name of the node or layer, and `DamagedError` if the file cannot.
    """
    if path.suffix.lower() == LAVA_DL:
        return lava_dl.read_lava_dl(path, samples)
    return SpikingModel(nir_network.read_nir(path, settings, samples))


def input_shape(path: Path, samples: Optional[Shape] = None) -> Tuple[int, int, int]:
    """Return the shape (height, width, channels) of the samples of a spiking network.

    `samples` is the shape of the samples of the data set: it is returned if the network
    takes them. Otherwise, and without `samples`, the shape is that of the file. Raise
    the errors of `read_spiking`.
    """
    is_lava_dl = path.suffix.lower() == LAVA_DL
    read_shape = lava_dl.input_shape if is_lava_dl else nir_network.input_shape
    return read_shape(path, samples)
