"""Numbers as the text formats write them read back as the same numbers."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snnb.formats.text_lines import lines, rows, texts


def written(value, exact=False):
    (text,) = texts(np.array([value], np.float32), exact).to_pylist()
    return text


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
@example(9.999999e-5)
@example(999999.94)
@example(2.0**-149)
@example(2.0**-126)
@example(3.4028234663852886e38)
@example(-0.0)
def test_a_float32_reads_back_as_itself(value):
    text = written(value)
    assert np.float32(text) == np.float32(value)
    assert len(text.strip("-0.").split("e")[0].replace(".", "")) <= 9
    assert float(written(value, exact=True)) == float(np.float32(value))


@given(st.integers(0, 10**6 - 1), st.integers(-8, 0))
def test_short_decimals_stay_short(mantissa, exponent):
    """A number that has a decimal of up to six digits is written with no more digits than that."""
    value = np.float32(f"{mantissa}e{exponent}")
    digits = written(value).split("e")[0].replace(".", "").strip("0")
    assert len(digits) <= max(1, len(str(mantissa).strip("0")))


USUAL = [0, -0.0, 1, -0.5, 100, 0.1, 1e-6, 1e-7, 1e9, 16777216, np.inf, -np.inf, np.nan]
TEXTS = "0 0 1 -0.5 100 0.1 0.000001 1e-7 1000000000 16777216 inf -inf nan"


@pytest.mark.parametrize(("value", "text"), zip(USUAL, TEXTS.split()))
def test_usual_numbers_look_usual(value, text):
    assert written(value) == text


@given(st.lists(st.lists(st.integers(0, 2**63 - 1), max_size=3), min_size=1))
@example([[10**18], [], [0, 9, 10]])
def test_rows_of_integers(listed_rows):
    indptr = np.cumsum([0, *map(len, listed_rows)])
    numbers = np.array([number for row in listed_rows for number in row], np.int64)
    written = bytes(lines(rows(indptr, texts(numbers)), ";"))
    assert written.decode() == "".join(
        " ".join(map(str, row)) + ";\n" for row in listed_rows
    )


def test_no_lines():
    assert bytes(lines(texts(np.empty(0, np.float32)), ",")) == b""
