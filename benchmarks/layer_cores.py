"""Whether the models of the package fit a chip that takes a layer per core.

python benchmarks/layer_cores.py [HARDWARE]

Weights are random: the answer depends on the shapes alone. Max pooling is replaced by average pooling.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from snnb.architectures import find, names
from snnb.chips.hardware import LayerHardware
from snnb.chips.read_hardware import read_hardware
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import convert
from snnb.core.errors import SnnbError
from snnb.core.progress import say_nothing
from snnb.mapping.layers.assignment import assign_layers
from snnb.model_files.keras import keras
from snnb.model_files.kinds import is_spiking_file
from snnb.model_files.read_model import read_model
from snnb.training.keras_model import trained_network

SAMPLES = 4
LARGEST = 2_000_000  # neurons of a network that is converted


def reason(name: str, hardware: LayerHardware) -> str:
    """Return why a model does not fit, or the number of its layers and their cores."""
    spec = find(name)
    side = hardware.layer.input_side
    if side is not None and max(spec.input_shape[:2]) > side:
        size = " × ".join(map(str, spec.input_shape[:2]))
        return f"no: an input of {size}, {max(spec.input_shape[:2]) - side} more than {side} × {side}"
    if spec.file is not None and is_spiking_file(spec.file.name):
        from snnb.model_files.kinds import NirSettings
        from snnb.model_files.nir_network import read_nir

        network = read_nir(
            spec.file, NirSettings(time_step=spec.time_step), spec.input_shape
        )
    else:
        if spec.file is not None:
            trained = read_model(spec.file, say_nothing)
        else:
            keras.backend.clear_session()
            keras.utils.set_random_seed(0) if hasattr(
                keras.utils, "set_random_seed"
            ) else None
            trained = trained_network(
                spec.build(input_shape=spec.input_shape, num_classes=spec.num_classes)
            )
        pixels = np.random.default_rng(0).random(
            (SAMPLES, *spec.input_shape), np.float32
        )
        settings = ConversionSettings(max_pool="average", rectify_linear=True)
        network = convert(trained, x_norm=pixels, settings=settings).parsed
    placement = assign_layers(network, hardware)
    if placement.reason is not None:
        return "no: " + placement.reason.split(": ", 1)[1]
    cores = ", ".join(str(core) for core in placement.core)
    return f"yes: {len(placement.layers)} layers on cores {cores}"


def main(named: str) -> None:
    """Print a line for each model."""
    hardware = read_hardware(named)
    assert isinstance(hardware, LayerHardware)
    for name in names():
        try:
            print(f"{name:<24}{reason(name, hardware)}", flush=True)
        except SnnbError as error:
            print(f"{name:<24}not converted: {error}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "speck2f")
