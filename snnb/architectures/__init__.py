"""The models: one file a family. Nothing here imports TensorFlow before a model is built."""

from snnb.architectures import alexnet, autoencoder, cnn, lenet, mini, mlp, rueckauer, squeezenet, vgg, zambrano
from snnb.architectures.registry import Architecture, ModelSpec, find, names

__all__ = [
    "Architecture",
    "ModelSpec",
    "alexnet",
    "autoencoder",
    "cnn",
    "find",
    "lenet",
    "mini",
    "mlp",
    "names",
    "rueckauer",
    "squeezenet",
    "vgg",
    "zambrano",
]
