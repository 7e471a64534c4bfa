"""Record a trained Keras network for an instance: its weights rounded to a few significant bits, and compressed.

    python benchmarks/instances/record.py TRAINED.h5 benchmarks/instances/networks/NAME.h5 [--bits 8]

The state of the optimizer is left out. The rounded network is the one whose accuracy the description states.
"""

import argparse
from pathlib import Path

import h5py
import numpy as np

NOT_RECORDED = ("training_config", "optimizer_weights")


def rounded(values: np.ndarray, bits: int) -> np.ndarray:
    """Return the nearest numbers with this number of significant bits."""
    fraction, exponent = np.frexp(values)
    return np.ldexp(np.rint(np.ldexp(fraction, bits)), exponent - bits).astype(
        values.dtype
    )


def copy(source: h5py.Group, target: h5py.Group, bits: int) -> None:
    """Copy groups, attributes and rounded arrays."""
    target.attrs.update(
        {
            name: value
            for name, value in source.attrs.items()
            if name not in NOT_RECORDED
        }
    )
    for name, item in source.items():
        if name in NOT_RECORDED:
            continue
        if isinstance(item, h5py.Group):
            copy(item, target.create_group(name), bits)
        else:
            packed = {
                "chunks": item.shape,
                "compression": "gzip",
                "compression_opts": 9,
                "shuffle": True,
            }
            values = rounded(item[()], bits)
            target.create_dataset(
                name, data=values, track_times=False, **(packed if item.shape else {})
            )


def main() -> None:
    """Write the file that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trained", type=Path)
    parser.add_argument("network", type=Path)
    parser.add_argument("--bits", type=int, default=8)
    options = parser.parse_args()
    with h5py.File(options.trained, "r") as source, h5py.File(
        options.network, "w"
    ) as target:
        copy(source, target, options.bits)
    print(f"{options.network}: {options.network.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
