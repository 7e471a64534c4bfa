"""The models: one file a family. Nothing here imports TensorFlow before a model is built."""

from snnb.architectures import (  # noqa: F401  importing a family registers its models
    alexnet,
    autoencoder,
    cnn,
    lenet,
    mini,
    mlp,
    rueckauer,
    squeezenet,
    vgg,
    zambrano,
)
from snnb.architectures.custom import OwnCodeError, OwnModel, is_own, own_model
from snnb.architectures.registry import Architecture, ModelSpec, find, names
from snnb.architectures.settings import checked_settings

__all__ = [
    "Architecture",
    "ModelSpec",
    "OwnCodeError",
    "OwnModel",
    "checked_settings",
    "find",
    "is_own",
    "names",
    "own_model",
]
