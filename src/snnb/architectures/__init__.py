"""The models, with one file for each family. TensorFlow is imported only when a model is built."""

from snnb.architectures import (  # noqa: F401  importing a file registers its models
    alexnet,
    autoencoder,
    cnn,
    densenet,
    lenet,
    mini,
    mlp,
    mobilenet,
    resnet,
    rueckauer,
    squeezenet,
    vgg,
    zambrano,
)
from snnb.architectures.custom import OwnCodeError, OwnModel, is_own, own_model
from snnb.architectures.hyperparameters import checked_hyperparameters
from snnb.architectures.registry import Architecture, ModelSpec, find, names

__all__ = [
    "Architecture",
    "ModelSpec",
    "OwnCodeError",
    "OwnModel",
    "checked_hyperparameters",
    "find",
    "is_own",
    "names",
    "own_model",
]
