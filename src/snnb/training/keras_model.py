"""The Keras model of a training: checks, loss and optimizer, metrics, and its HDF5 file."""

import json
import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import List, Mapping, Optional

import numpy as np

from snnb.core.errors import DamagedError, InputError, VerificationError, first_line
from snnb.core.progress import say_nothing
from snnb.io.hdf5 import copy_without_times, in_memory, open_file, writing
from snnb.model_files.keras import NEWER, description_of, keras, older_description
from snnb.model_files.keras_files import read_description
from snnb.model_files.kinds import NotReadError
from snnb.network.keras_file import QCFS_LEVELS, read_levels
from snnb.network.trained import TrainedNetwork
from snnb.training.batches import LabelledPictures
from snnb.training.pretrained import check_shapes
from snnb.training.qcfs import levels_of, plain
from snnb.training.recipe import Recipe

KERAS_MODULES = ("keras.", "tf_keras.", "tensorflow.")  # of its layers


def check_model(model: keras.Model, pictures: LabelledPictures) -> None:
    """Raise `InputError` for a model that does not fit the pictures or their classes.

    A classifier must end in softmax, since the cross entropy needs probabilities.
    """
    last, num_classes = model.layers[-1], pictures.num_classes
    check_shapes(
        (model.layers[0].name, tuple(model.input_shape[1:])),
        (last.name, tuple(model.output_shape[1:])),
        pictures,
    )
    activation = getattr(getattr(last, "activation", None), "__name__", "")
    if (
        num_classes is not None
        and activation != "softmax"
        and not isinstance(last, keras.layers.Softmax)
    ):
        raise InputError(
            f"layer {last.name}: a classifier must end in softmax to be trained: give "
            "it activation='softmax'",
        )


def compile_model(
    model: keras.Model,
    recipe: Recipe,
    num_classes: Optional[int],
) -> None:
    """Compile a model with a new optimizer, and cross entropy as its loss, or mean squared error for an autoencoder.

    The targets of the cross entropy are one-hot, as snntoolbox's data set loader
    expects. `num_classes` is None for an autoencoder.
    """
    # The optimizers of Keras 2.11 and later have another state, and do not save it as
    # HDF5.
    optimizers = keras.optimizers.legacy if NEWER else keras.optimizers
    if recipe.optimizer == "sgd":
        optimizer = optimizers.SGD(
            recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
        )
    else:
        kinds = {"adam": optimizers.Adam, "rmsprop": optimizers.RMSprop}
        optimizer = kinds[recipe.optimizer](recipe.learning_rate)
    if num_classes is None:
        model.compile(optimizer, "mean_squared_error")
    else:
        model.compile(optimizer, "categorical_crossentropy", ["accuracy"])


def check_finite(figures: Mapping[str, float], epoch: int) -> None:
    """Raise `VerificationError` if a metric of an epoch, counted from 0, is infinite or NaN."""
    for name, value in figures.items():
        if not math.isfinite(value):
            raise VerificationError(
                f"the training diverged in epoch {epoch + 1} ({name} is {value}): try "
                "a lower --learning-rate",
            )


def write_model(model: keras.Model, path: Path, levels: Optional[int] = None) -> None:
    """Save a compiled model as Keras does, without the time stamps that HDF5 records by default.

    `levels` is the number of levels of quantised activations, for `read_levels`.
    """
    with in_memory(path.name) as memory_file, writing(path) as file:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore",
                "You are saving your model as an HDF5 file",
            )
            model.save(memory_file, save_format="h5")
        copy_without_times(memory_file, file)
        if levels is not None:
            file.attrs[QCFS_LEVELS] = levels
        if NEWER:  # so that TensorFlow 2.2 loads it
            description = older_description(
                json.loads(memory_file.attrs["model_config"])
            )
            file.attrs["model_config"] = json.dumps(description).encode()


def load_weights(model: keras.Model, path: Path) -> None:
    """Load the weights of a model from an .h5 file; raise `InputError` if it is missing or of another model."""
    try:
        if path.suffix != ".h5":
            raise OSError("not an .h5 file")
        # Refuses data in other files; Keras opens the file by its name
        with open_file(path):
            model.load_weights(str(path))
    except DamagedError as error:
        raise InputError(f"--initial-weights: {error}") from error
    except (OSError, ValueError, KeyError) as error:
        reason = first_line(error)
        if path.suffix == ".h5" and read_levels(path) is not None:
            reason = (
                "trained with --activation qcfs, it has convolutions instead of "
                "average pooling; give weights trained with relu"
            )
        raise InputError(
            f"--initial-weights: {path} does not have the weights of the model "
            f"({reason})",
        ) from error


def trained_network(model: keras.Model) -> TrainedNetwork:
    """Return the layers and weights of a model in memory.

    Raise `InputError` if it has a layer that cannot be converted; the message names
    layers and reasons in one line.
    """
    levels, model = levels_of(model), plain(model)
    for layer in model.submodules:  # whose class may have the name of a class of Keras
        if isinstance(layer, keras.layers.Layer) and not type(
            layer,
        ).__module__.startswith(KERAS_MODULES):
            kind = type(layer).__name__
            raise InputError(
                f"cannot convert this model: layer {layer.name} ({kind}): a custom "
                "class: use Keras's own",
            )

    def arrays_of(name: str) -> List[np.ndarray]:
        layer = model.get_layer(name)
        return [
            variable.numpy()
            for variable in (*layer.trainable_weights, *layer.non_trainable_weights)
        ]

    try:
        network, pixels = read_description(
            description_of(model),
            arrays_of,
            say_nothing,
        )
    except NotReadError as error:
        raise InputError(f"cannot convert this model: {error}") from error
    if pixels is not None:
        raise InputError(
            f"cannot convert this model: {pixels.layers}: remove it, pixels are "
            "between 0 and 1",
        )
    return replace(network, levels=levels)
