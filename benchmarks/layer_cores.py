"""Whether the models of the package fit a chip that takes a layer per core.

python benchmarks/layer_cores.py [HARDWARE]

Weights are random: the answer depends on the shapes alone. Max pooling is replaced by average pooling.
"""

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from snnb.architectures import find, names
from snnb.chips.hardware import LayerHardware
from snnb.chips.read_hardware import read_hardware
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import convert
from snnb.core.errors import SnnbError
from snnb.io.keras import keras
from snnb.mapping.layers.assignment import assign_layers
from snnb.network.read_network import read_network

SAMPLES = 4
LARGEST = 2_000_000  # neurons of a network that is converted


def reason(name: str, hardware: LayerHardware, folder: Path) -> str:
    """Return why a model does not fit, or the number of its layers and their cores."""
    spec = find(name)
    side = hardware.layer.input_side
    if side is not None and max(spec.input_shape[:2]) > side:
        size = " × ".join(map(str, spec.input_shape[:2]))
        return f"no: an input of {size}, {max(spec.input_shape[:2]) - side} more than {side} × {side}"
    if spec.file is not None:
        from snnb.model_files.kinds import NirSettings
        from snnb.model_files.nir_network import read_nir

        network = read_nir(spec.file, NirSettings(time_step=spec.time_step), spec.input_shape)
    else:
        keras.backend.clear_session()
        keras.utils.set_random_seed(0) if hasattr(keras.utils, "set_random_seed") else None
        model = spec.build(input_shape=spec.input_shape, num_classes=spec.num_classes)
        model.save(str(folder / f"{name}.h5"))
        pixels = np.random.default_rng(0).random((SAMPLES, *spec.input_shape), np.float32)
        settings = ConversionSettings(max_pool="average", rectify_linear=True)
        convert(folder / f"{name}.h5", folder, name=name, x_norm=pixels, settings=settings)
        network = read_network(folder / f"{name}_parsed.h5")
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
        with tempfile.TemporaryDirectory() as folder:
            try:
                print(f"{name:<24}{reason(name, hardware, Path(folder))}", flush=True)
            except SnnbError as error:
                print(f"{name:<24}not converted: {error}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "speck2f")
