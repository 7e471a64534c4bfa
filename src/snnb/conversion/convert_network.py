"""Convert a trained network with the parser of snnb or that of the toolbox."""

from typing import Optional

import numpy as np

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import (
    DEFAULT_SETTINGS,
    Conversion,
    convert,
    with_spiking_output,
)
from snnb.conversion.rewriting import refuse_pooled_input
from snnb.conversion.toolbox_config import require_toolbox
from snnb.core.progress import Progress, silent
from snnb.network.trained import TrainedNetwork


def convert_network(
    trained_network: TrainedNetwork,
    x_norm: np.ndarray,
    settings: ConversionSettings = DEFAULT_SETTINGS,
    *,
    pixel_scale: float = 1.0,
    unit_pixels: bool = True,
    spiking_output: Optional[int] = None,
    progress: Progress = silent,
) -> Conversion:
    """Convert a trained network with the parser of the settings.

    Parameters
    ----------
    trained_network : TrainedNetwork
    x_norm : ndarray of float32, shape (samples, ...)
    settings : ConversionSettings
    pixel_scale : float
        See `convert`.
    unit_pixels : bool
        Whether all pixels are in [0, 1].
    spiking_output : int, optional
        Replace a softmax output by neurons that spike, for this number of time steps.
    progress : Progress
        See `convert`.

    Raises
    ------
    InputError
        The network cannot be converted.
    VerificationError
        The outputs of the parsed and the trained network differ.
    """
    if settings.parser == "toolbox":
        require_toolbox("--parser toolbox", "--parser own")
        from snnb.conversion.toolbox import convert_with_toolbox

        conversion = convert_with_toolbox(trained_network, x_norm, settings)
    else:
        conversion = convert(
            trained_network,
            x_norm=x_norm,
            settings=settings,
            progress=progress,
            pixel_scale=pixel_scale,
        )
    if not unit_pixels:
        refuse_pooled_input(conversion.parsed)
    if spiking_output is None:
        return conversion
    return with_spiking_output(conversion, x_norm, spiking_output)
