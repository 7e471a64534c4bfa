"""A boolean is not taken for a number, in options and in documents that are read."""

from typing import Dict, List, Optional, Union

import pytest
from pydantic import ValidationError

from snnb.core.errors import UsageError
from snnb.core.options import Options, typed, validated
from snnb.io.text import Document


class Settings(Options):
    epochs: int = 3
    rate: Optional[float] = None
    shape: Optional[List[int]] = None
    has_bias: bool = True
    bias: Union[bool, float] = 0.0
    times: Optional[Dict[int, float]] = None


class Record(Document):
    count: int


@pytest.mark.parametrize(
    "values",
    [
        {"epochs": True},
        {"rate": False},
        {"shape": [2, True]},
        {"times": {True: 2.0}},
        {"times": {1: True}},
    ],
)
def test_a_boolean_is_no_number(values):
    with pytest.raises(UsageError, match=f"--{next(iter(values))}"):
        validated(Settings, values)
    with pytest.raises(UsageError, match=f"--{next(iter(values))}"):
        typed(Settings, values)


def test_numbers_and_switches_are_what_they_are():
    values = {"epochs": 1, "rate": 1, "shape": [1], "has_bias": False, "bias": True}
    settings = validated(Settings, values)
    assert settings.epochs == 1
    assert settings.has_bias is False
    assert settings.bias is True


def test_a_boolean_is_no_number_of_a_document():
    with pytest.raises(ValidationError):
        Record.model_validate_json('{"count": true}')
