"""Conversion of a Keras model, in memory or in a file, as the stages `train` and `parse` do it."""

from pathlib import Path

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import convert
from snnb.model_files.read_model import read_trained
from snnb.stages.parse import write_conversion


def convert_files(
    model, directory, *, name="net", x_norm, settings=None, pixel_scale=1.0
):
    """Convert a model or the model in a file; write `NAME_parsed.h5` and the other files into a directory."""
    from snnb.training.keras_model import trained_network

    model_network = (
        read_trained(model) if isinstance(model, Path) else trained_network(model)
    )
    settings = settings or ConversionSettings()
    result = convert(
        model_network, x_norm=x_norm, settings=settings, pixel_scale=pixel_scale
    )
    write_conversion(result, directory, name, settings)
    return result
