"""Networks that come with the package in files, trained elsewhere."""

from pathlib import Path

from snnb.architectures.registry import InputShape, ModelSpec, architecture
from snnb.core.errors import UsageError
from snnb.model_files import lazy_keras as keras
from snnb.training.recipe import Recipe

_FOLDER = Path(__file__).parent


@architecture(
    # 4c3 same – A2 – 8c3 – 10, from PyTorch
    ModelSpec(
        "digits_example",
        "digits",
        (8, 8, 1),
        10,
        362,
        3_664,
        "this package, examples/digits_net.py",
        Recipe(),
        file=_FOLDER / "digits_example.onnx",
    ),
    # Leaky neurons, 64 – 32, connected to themselves – 10, from snnTorch
    ModelSpec(
        "spiking_digits",
        "digit_events",
        (12, 12, 2),
        10,
        106,
        21_498,
        "this package, benchmarks/train_spiking_digits.py",
        Recipe(),
        file=_FOLDER / "spiking_digits.nir",
        time_step=1e-3,
    ),
)
def _trained_elsewhere(
    name: str,
    input_shape: InputShape,
    num_classes: int,
) -> "keras.Model":
    """Raise `UsageError`: a network in a file is read, not built."""
    raise UsageError(f"{name} is already trained and cannot be built as a Keras model")
