"""Lines of text, put together by Arrow from columns, and from rows of different lengths."""

from typing import TYPE_CHECKING, Union

import numpy as np

if TYPE_CHECKING:
    import pyarrow


def texts(values: np.ndarray, exact: bool = False) -> "pyarrow.StringArray":
    """Return numbers as texts, the shortest that read back as the same float32, with `exact` as the same float64."""
    import pyarrow

    if values.dtype.kind == "f":
        values = np.add(values, 0, dtype=np.float64 if exact else np.float32)  # not -0
    return pyarrow.array(values).cast(pyarrow.string())


def rows(indptr: np.ndarray, values: "pyarrow.StringArray") -> "pyarrow.StringArray":
    """Return the text of each row, `values[indptr[i]:indptr[i + 1]]` with spaces between; 2 GiB of text at most."""
    import pyarrow
    from pyarrow import compute

    return compute.binary_join(
        pyarrow.ListArray.from_arrays(indptr.astype(np.int32), values), " "
    )


def lines(*parts: Union["pyarrow.StringArray", str]) -> "pyarrow.Buffer":
    """Return a line for each row of some columns of texts, which follow each other; a str is the same in each line."""
    from pyarrow import compute, py_buffer

    line_texts = compute.binary_join_element_wise(*parts, "\n", "")
    return line_texts.buffers()[2] if len(line_texts) else py_buffer(b"")
