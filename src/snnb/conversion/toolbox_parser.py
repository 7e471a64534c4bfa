"""Parse with snntoolbox 0.5."""

from configparser import ConfigParser
from typing import Tuple

from snntoolbox.parsing.model_libs.keras_input_lib import ModelParser

from snnb.conversion.toolbox_config import quiet
from snnb.core.errors import InputError
from snnb.io.keras import keras


def to_parsed(trained: keras.Model, parameters: ConfigParser) -> keras.Model:
    """Parse with the toolbox: batch normalisation absorbed, training-only layers dropped, layers named.

    The toolbox edits the graph of the trained model: do not save or clone it afterwards. Raise `InputError` if the
    parser fails.
    """
    parser = _FreeBatchParser(trained, parameters)
    try:
        with quiet():
            parser.parse()
            return parser.build_parsed_model()
    except (AssertionError, AttributeError, ImportError, IndexError, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else "no reason given"
        raise InputError(
            f"snntoolbox 0.5's parser fails on this model ({type(error).__name__}: {reason}): simplify it"
        ) from error


class _FreeBatchParser(ModelParser):
    """The toolbox's parser, but the parsed model takes batches of any size."""

    def get_batch_input_shape(self) -> Tuple:
        return (None, *self.get_input_shape())
