"""Numbers as the text formats write them read back as the same numbers."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from snnb.formats.text_lines import NUMBER, integer_rows, put_float32

compiled_first = settings(deadline=None)  # the first call compiles


def written(put, value):
    out = np.full(NUMBER, 255, np.uint8)
    end = put(out, 0, value)
    assert (out[end:] == 255).all()
    return bytes(out[:end]).decode()


@compiled_first
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
@example(9.999999e-5)
@example(999999.94)
@example(2.0**-149)
@example(2.0**-126)
@example(3.4028234663852886e38)
@example(-0.0)
def test_a_float32_reads_back_as_itself(value):
    text = written(put_float32, np.float32(value))
    assert np.float32(text) == np.float32(value)
    assert len(text.strip("-0.").split("e")[0].replace(".", "")) <= 9


@compiled_first
@given(st.integers(0, 10**6 - 1), st.integers(-8, 0))
def test_short_decimals_stay_short(mantissa, exponent):
    """A number that has a decimal of up to six digits is written with no more digits than that."""
    value = np.float32(f"{mantissa}e{exponent}")
    digits = written(put_float32, value).split("e")[0].replace(".", "").strip("0")
    assert len(digits) <= max(1, len(str(mantissa).strip("0")))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1, "1"),
        (-0.5, "-0.5"),
        (100, "100"),
        (0.1, "0.1"),
        (1e-6, "1e-06"),
        (1e9, "1e+09"),
        (16777216, "16777216"),
        (np.inf, "inf"),
        (-np.inf, "-inf"),
        (np.nan, "nan"),
    ],
)
def test_usual_numbers_look_usual(value, text):
    assert written(put_float32, np.float32(value)) == text


@compiled_first
@given(st.lists(st.lists(st.integers(0, 2**63 - 1), max_size=3), min_size=1))
@example([[10**18], [], [0, 9, 10]])
def test_rows_of_integers(rows):
    indptr = np.cumsum([0, *map(len, rows)])
    numbers = np.array([number for row in rows for number in row], np.int64)
    assert bytes(integer_rows(indptr, numbers)).decode() == "".join(" ".join(map(str, row)) + "\n" for row in rows)
