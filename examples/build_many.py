"""Run several models and archive the results of each: parsed network, spike counts, graph, logs, manifest.

    python examples/build_many.py archive mini_network lenet_mnist

A model whose archive is there is left out, one that fails is named and does not stop the others.
"""

import sys
import tarfile
from pathlib import Path
from typing import Sequence

from snnb import Run
from snnb.core.errors import SnnbError

KEPT = ("manifest.yaml", "train", "parse", "simulations", "graphs")


def archive(run: Run, target: Path) -> None:
    """Pack a run without its data set, under a name that appears only when the archive is complete."""
    partial = target.with_suffix(".partial")
    with tarfile.open(partial, "w:gz") as packed:
        for name in KEPT:
            packed.add(run.path / name, arcname=f"{run.path.name}/{name}")
    partial.replace(target)


def build(models: Sequence[str], folder: Path) -> int:
    """Build the models one after the other; return how many failed."""
    folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for model in models:
        target = folder / f"{model}.tar.gz"
        if target.exists():
            print(f"{model}: {target} is there")
            continue
        try:
            run = Run(
                model, say=lambda message, model=model: print(f"{model}: {message}")
            )
            run.graph()
            archive(run, target)
        except SnnbError as error:
            failed += 1
            print(f"{model}: {error}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(1 if build(sys.argv[2:], Path(sys.argv[1])) else 0)
