"""Trained spiking networks, in NIR files."""

from pathlib import Path

from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.core.errors import UsageError
from snnb.io import lazy_keras as keras
from snnb.training.recipe import Recipe

_SOURCE = "this package, benchmarks/train_spiking_digits.py"
_FILE = Path(__file__).with_name("spiking_digits.nir")


@architecture(
    ModelSpec(
        "spiking_digits", "digit_events", (12, 12, 2), 10, 106, 21_498, _SOURCE, Recipe(), file=_FILE, time_step=1e-3
    )
)
def _spiking_digits(name: str, input_shape: InputShape, num_classes: int) -> "keras.Model":
    """Raise `UsageError`: leaky neurons, 64 – 32, connected to themselves – 10, are not a Keras model."""
    raise UsageError(f"{name} is a spiking network, which cannot be built as a Keras model")
