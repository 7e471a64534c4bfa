"""Files in the official formats, written independently of the readers under test."""

import struct

import numpy as np

MNIST_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def idx_bytes(array):
    """An IDX file of unsigned bytes, as its description in MNIST's documentation has it."""
    return (
        struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        + array.astype(np.uint8).tobytes()
    )


def python2_batch(entries):
    """Pickle a dictionary as Python 2 did for the official CIFAR files: byte strings and numpy's old array form."""

    def number(value):
        return b"J" + struct.pack("<i", value)

    def string(value):
        return b"T" + struct.pack("<i", len(value)) + value

    def dump(value):
        if isinstance(value, np.ndarray):
            shape = b"(" + b"".join(number(side) for side in value.shape) + b"t"
            dtype = b"cnumpy\ndtype\n(" + string(b"u1") + number(0) + number(1) + b"tR"
            dtype += (
                b"("
                + number(3)
                + string(b"|")
                + b"NNN"
                + number(-1) * 2
                + number(0)
                + b"tb"
            )
            empty = (
                b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n("
                + number(0)
                + b"t"
                + string(b"b")
                + b"tR"
            )
            return (
                empty
                + b"("
                + number(1)
                + shape
                + dtype
                + b"I00\n"
                + string(value.tobytes())
                + b"tb"
            )
        if isinstance(value, list):
            return b"](" + b"".join(dump(item) for item in value) + b"e"
        return number(value) if isinstance(value, int) else string(value)

    return (
        b"\x80\x02}("
        + b"".join(string(key) + dump(value) for key, value in entries.items())
        + b"u."
    )
