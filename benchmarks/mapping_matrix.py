"""Map the models that no instance has onto the smallest hardware that holds them; write docs/mapping-results.md.

The models are trained for two batches of random pictures, as for `make model-matrix`: full-size networks, whose
spikes differ from those in a trained network. `--run DIR` maps existing runs instead, such as trained ones. Every
mapping is a separate command, so that seconds and memory are measured per mapping; models in the results file are
skipped. The same seed gives the same table, except for seconds and memory.

    python benchmarks/mapping_matrix.py [MODEL ...] [--run DIR ...] [--again] [--results FILE] [--scratch DIR]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Optional

import psutil
from model_matrix import ROOT, make_run, map_on_the_first

from snnb.architectures import find, names
from snnb.mapping.mapping import COST
from snnb.pipeline.open_run import open_run

PAGE = ROOT / "docs" / "mapping-results.md"
RESULTS = ROOT / "benchmarks" / "results" / "mapping_matrix.json"
INSTANCES = ("mini_network", "lenet_mnist", "zambrano_mnist", "autoencoder_mnist", "mobilenet_cifar10")
INSTANCES += ("rueckauer_cifar10", "resnet20_cifar10", "vgg11_cifar10")  # trained: docs/instances.md has them
KEPT = ("method", "cores", "connectivity", "sequential", "hops_unicast", "energy_pj", "reuse", "neurons", "samples")
FULL = ("neurons_per_core", "axons_per_core")
HEAD = """# Models without training on the smallest hardware that holds them

The networks of this page have not learned: they show how a mapping scales, not the cost of a
network. Networks that have learned, with the spikes of real pictures, are on the page of the
[instances](instances.md). Map one of your own:

```
snnb map runs/mini_network --hardware spinemap_5x5
```

```text
map  ran  runs/mini_network/maps/20261127T230005Z
  cores                         5
  connectivity              531.1  spikes/sample
  hops                      531.1  links/sample
  network energy            3.665  nJ/sample
  connectivity, sequential  3,804  spikes/sample
…
```

Written by `make mapping-matrix` (`benchmarks/mapping_matrix.py`), on {cores} cores of a machine with
{memory:.0f} GiB. Hardware is the first of `snnb hardware` that holds the network, with `--method auto` and
seed 0. Figures are per sample, as [mapping.md](mapping.md) defines them. The number in brackets is
the number of cores of the sequential mapping; *ratio* is the connectivity divided by that of the
sequential mapping. Seconds are wall-clock seconds of the command, and processor seconds of the
command and Mt-KaHyPar, which depend less on other work on the machine. The first mapping on a
machine, here of the smallest network, also compiles the loops.

`loihi` and `loihi_32_chips` have all limits of the chip, and energies of all events; the energies
of the other descriptions are those of routes only, those of `jin_84x84` in units of a router's
instead of pJ. All networks have their full size.

{trained}

"""
BARELY = """{} trained for two batches of random pictures and simulated for 20 time steps with two more
pictures. Their spikes are not those of a network that has learned to classify, so compare the
proportions between mappings."""
COLUMNS = (
    "model",
    "hardware",
    "cores",
    "connectivity",
    "ratio",
    "hops",
    "energy µJ",
    "fullest core: neurons, axons",
    "seconds, of processors",
    "memory",
)


def main() -> None:
    """Map the models that are not in the results file, and write the page after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="those of no instance, small to large, when left out"
    )
    parser.add_argument("--run", nargs="+", type=Path, default=[], help="runs with a graph, mapped where they are")
    parser.add_argument("--again", action="store_true", help="map the models in the results file again")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--scratch", type=Path, help="where the run directories are, one at a time (up to 8 GB)")
    options = parser.parse_args()
    measured: Dict[str, Any] = json.loads(options.results.read_text()) if options.results.exists() else {}
    wanted: Dict[str, Optional[Path]] = {open_run(path).model: path for path in options.run}
    others = [name for name in names(spiking=False) if name not in INSTANCES]
    for name in options.models or (() if options.run else others):
        wanted.setdefault(name, None)
    failed = []
    for name in sorted(wanted, key=lambda name: find(name).synapses):
        if name in measured and not options.again:
            continue
        print(name, end=" ", flush=True)
        with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
            try:
                measured[name] = measure(name, Path(scratch), wanted[name])
            except subprocess.CalledProcessError as error:
                failed.append(name)
                print(f"FAILED: exit code {error.returncode}\n{error.stderr}", flush=True)
                continue
        print(*_cells(measured[name]), flush=True)
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(json.dumps(measured, indent=1) + "\n")
        write_page(options.page, measured)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


def measure(model: str, scratch: Path, there: Optional[Path] = None) -> Dict[str, Any]:
    """Map a model on the first hardware that holds it.

    Parameters
    ----------
    model : str
    scratch : Path
        An empty directory.
    there : Path, optional
        A run with a graph, which is copied; without it, one is made.

    Raises
    ------
    subprocess.CalledProcessError
        A stage failed, or no hardware holds the model; its `stderr` says why.
    """
    if there is None:
        make_run(model, scratch)
    else:
        shutil.copytree(there, scratch / "run")
    hardware, seconds = map_on_the_first(scratch)
    run = open_run(scratch / "run")
    (stamp, record), *_ = sorted(run.records_of("map").items(), reverse=True)
    stated = json.loads((run.path / "maps" / stamp / COST).read_text())
    return {
        "hardware": hardware,
        **{name: stated[name] for name in (*KEPT, *FULL)},
        "wall_s": record.timing.wall_s,
        "processor_s": seconds,
        "peak_rss_bytes": record.timing.peak_rss_bytes,
        "trained": there is not None,
        "machine_cores": len(os.sched_getaffinity(0)),
    }


def write_page(page: Path, measured: Dict[str, Any]) -> None:
    """Write the page of the table."""
    rows = [f"| {' | '.join(COLUMNS)} |", "|---|---|" + "---:|" * (len(COLUMNS) - 2)]
    for name, result in sorted(measured.items(), key=lambda item: find(item[0]).synapses):
        mark = " †" if result["trained"] else ""
        rows.append(f"| {' | '.join([f'`{name}`{mark}', *_cells(result)])} |")
    cores = " or ".join(str(number) for number in sorted({result["machine_cores"] for result in measured.values()}))
    marked = any(result["trained"] for result in measured.values())
    barely = BARELY.format("Networks without † are" if marked else "All networks are")
    head = HEAD.format(cores=cores, memory=psutil.virtual_memory().total / 2**30, trained=barely)
    page.write_text(head + "\n".join(rows) + "\n", encoding="utf-8")


def _cells(result: Dict[str, Any]) -> list:
    baseline = result["sequential"]["connectivity"]
    full = [result[held] for held in FULL]
    return [
        result["hardware"],
        f"{result['cores']:,} ({result['sequential']['cores']:,})",
        f"{result['connectivity']:,.4g}",
        f"{result['connectivity'] / baseline:.2f}" if baseline else "–",
        f"{result['hops_unicast']:,.4g}",
        f"{result['energy_pj'] / 1e6:,.4g}",
        ", ".join(f"{held['max']:,} ({held['share']:.0%})" for held in full),
        f"{result['wall_s']:.1f}, {result['processor_s']:.1f}",
        f"{result['peak_rss_bytes'] / 2**30:.2f} GiB",
    ]


if __name__ == "__main__":
    main()
