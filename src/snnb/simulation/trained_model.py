"""Outputs of the trained Keras model, and the accuracy of the network after each change of the conversion."""

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List, Mapping, Optional

import numpy as np

from snnb.conversion.fidelity import Change, Fidelity
from snnb.forward.batch import LARGEST_BATCH, padded
from snnb.forward.currents import AnalogueNetwork
from snnb.io.keras import keras
from snnb.io.keras_file import load_model, read_levels
from snnb.network.network import Network

Outputs = Callable[[np.ndarray], np.ndarray]  # of images, float32 (samples, ...) in [0, 1]: float32 (samples, units)


@dataclass(frozen=True)
class TrainedModel:
    """A trained model that can be sent to other processes."""

    description: str  # JSON of Keras
    weights: List[np.ndarray]
    levels: Optional[int]  # see `read_levels`
    # Returns the model with the quantised activations that it was trained with (`snnb.training.qcfs.quantised_again`)
    quantise: Callable[[keras.Model, int], keras.Model]
    batch: int = LARGEST_BATCH  # number of samples that are computed at a time
    unit: float = 1.0  # of the outputs

    def forward(self) -> Outputs:
        """Build the model and return the function that computes its outputs."""
        model = keras.models.model_from_json(self.description)
        model.set_weights(self.weights)
        if self.levels is not None:
            model = self.quantise(model, self.levels)

        def outputs(x: np.ndarray) -> np.ndarray:
            parts = [x[first : first + self.batch] for first in range(0, len(x), self.batch)]
            computed = [model.predict_on_batch(padded(part, self.batch))[: len(part)] for part in parts]
            return np.concatenate(computed).reshape(len(x), -1) / np.float32(self.unit)

        return outputs


def read_trained(path: Path, quantise: Callable[[keras.Model, int], keras.Model]) -> TrainedModel:
    """Read the model of a Keras h5 file; for `quantise` see `TrainedModel`.

    Raise `DamagedError` if the file does not hold a model.
    """
    model = load_model(path)
    return TrainedModel(model.to_json(), model.get_weights(), read_levels(path), quantise)


def measure_fidelity(
    trained: TrainedModel,
    changes: Mapping[Change, Network],
    x: np.ndarray,
    y: Optional[np.ndarray],
    output_scale: float = 1.0,
) -> Fidelity:
    """Measure the trained model and the network after each change on the same samples.

    `x` are images, float32 (samples, height, width, channels) in [0, 1]; `y` their class ids, or None for a network
    that reproduces its input, whose output of 1 stands for `output_scale` in a changed network.
    """
    forwards = [(trained.forward(), 1.0), *((AnalogueNetwork(n).outputs, output_scale) for n in changes.values())]
    figures = []
    for outputs, unit in forwards:
        values = outputs(x)
        if y is not None:
            figures.append(float((values.argmax(axis=1) == y).mean()))
        else:
            figures.append(float(np.square(values.astype(np.float64) * unit - x.reshape(len(x), -1)).mean()))
    ann, *after = figures
    return Fidelity(samples=len(x), classifies=y is not None, trained=ann, after=dict(zip(changes, after)))
