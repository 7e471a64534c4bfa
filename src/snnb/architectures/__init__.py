"""The models, one module per family. TensorFlow is imported only when a model is built.

All functions that build a model return an uncompiled `keras.Model` and share the
meaning of their parameters:

- ``input_shape``: (height, width, channels) of the pictures. - ``num_classes``: units
of the softmax layer. - ``filters``: output channels of the convolutions, or of the
blocks of convolutions, in order. - ``units``: units of the hidden dense layers, in
order. - ``dropout``: fraction of the units set to zero in training, in [0, 1).

In docstrings, ``16c5`` is a 5×5 convolution with 16 output channels, ``/2`` a stride,
``A2`` an average pooling of 2×2, and a number a dense layer.
"""

from snnb.architectures import (  # noqa: F401  importing a file registers its models
    alexnet,
    cnn,
    densenet,
    lenet,
    mlp,
    mobilenet,
    packaged_files,
    resnet,
    squeezenet,
    vgg,
)
from snnb.architectures.custom import OwnCodeError, OwnModel, is_own, own_model
from snnb.architectures.registry import ModelSpec, checked_hyperparameters, find, names

__all__ = [
    "ModelSpec",
    "OwnCodeError",
    "OwnModel",
    "checked_hyperparameters",
    "find",
    "is_own",
    "names",
    "own_model",
]
