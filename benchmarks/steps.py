"""Accuracy and synaptic operations of converted networks over the number of time steps, by method of conversion.

    python benchmarks/steps.py RUN … [--samples 1000] [--steps 4,8,16,32,64,128] [--methods …] [--page docs/results.md]

RUN is a run directory with a parsed network; one trained with `--activation qcfs` has a row of its own. Prints a table;
with --page, replaces the table and figure of that page.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import numpy as np

from snnb.conversion.calibrate import calibrate
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.network.network import Network
from snnb.network.read_network import read_network
from snnb.pipeline import prepare
from snnb.pipeline.open_run import open_run
from snnb.pipeline.stage import recorded_details
from snnb.simulation.findings import findings
from snnb.simulation.job import Job
from snnb.simulation.samples import run_job
from snnb.simulation.simulation_settings import SimulationSettings

BEGIN, END = "<!-- steps: written by `python benchmarks/steps.py` -->", "<!-- end of steps -->"
PICTURE = Path("pictures/accuracy-over-operations.png")  # beside the page
USUAL = {"usual, V0 = 0": 0.0, "usual, V0 = 0.5": 0.5}
CALIBRATED = {"calibrated, free": "free", "calibrated, separated": "separated"}


@dataclass(frozen=True)
class Row:
    """One simulation; accuracies and shares of the trained network."""

    model: str
    method: str
    steps: int
    ann: float
    readout: float
    spikes_accuracy: float
    latency: int
    spikes: float
    operations: float


def main() -> None:
    """Measure all rows, print them, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--steps", default="4,8,16,32,64,128")
    parser.add_argument("--methods", default=",".join(["0", "0.5", *CALIBRATED.values()]))
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    rows: List[Row] = []
    for path in options.runs:
        for row in measured(path, options.samples, [int(t) for t in options.steps.split(",")], options.methods):
            rows.append(row)
            print(" | ".join(cells(row)), flush=True)
    if options.page:
        write_page(options.page, rows)


def measured(path: Path, samples: int, durations: List[int], methods: str) -> Iterator[Row]:
    """Yield the rows of a run."""
    run = open_run(path)
    details = recorded_details(run, prepare.KIND)
    parsed = run.path / "parse" / f"{run.model}_parsed.h5"
    trained, pictures = read_network(parsed, trained=True), prepare.normalisation_set(run)
    x, y = (prepare.dataset_array(run, name)[:samples] for name in ("x_test", "y_test"))
    for steps in durations if trained.levels is None else [trained.levels]:
        if trained.levels is None:
            compared = networks(trained, pictures, steps, methods.split(","))
        else:
            compared = iter([("QCFS, separated", read_network(parsed), 0.0)])
        for method, network, start in compared:
            settings = SimulationSettings(
                samples=samples, duration=steps, initial_potential=start, engine="event", workers=1
            )
            job = Job(parsed, network, trained, settings, "event", details.scale, True, 1.0)
            totals = run_job(job, x, y)
            quality = totals.quality
            assert quality.readout is not None
            yield Row(
                run.model,
                method,
                steps,
                quality.ann / samples,
                quality.readout / samples,
                float(quality.by_step[-1]) / samples,
                network.latency(steps),
                sum(int(counts.sum()) for counts in totals.counts.values()) / samples,
                findings(network, totals, steps).synaptic_operations,
            )


def networks(
    trained: Network, pictures: np.ndarray, steps: int, methods: List[str]
) -> Iterator[Tuple[str, Network, float]]:
    """Yield name, network and initial potential of each method."""
    for name, start in USUAL.items():
        if f"{start:g}" in methods:
            yield name, trained, start
    for name, firing in CALIBRATED.items():
        if firing in methods:
            settings = ConversionSettings(calibrate=steps, firing=firing)
            began = time.perf_counter()
            network = calibrate(trained, pictures[: settings.calibration_samples], settings).network
            print(f"# calibrated for {steps} steps in {time.perf_counter() - began:.0f} s", flush=True)
            yield name, network, 0.0


HEADER = ("model", "method", "T", "ANN", "read-out", "spikes", "latency", "spikes a sample", "operations a sample")


def cells(row: Row) -> List[str]:
    """Return the cells of a row of the table."""
    shares = [f"{100 * share:.1f}" for share in (row.ann, row.readout, row.spikes_accuracy)]
    return [
        row.model,
        row.method,
        str(row.steps),
        *shares,
        str(row.latency),
        f"{row.spikes:,.0f}",
        f"{row.operations:,.3g}" if row.operations < 1000 else f"{row.operations:,.0f}",
    ]


def write_page(page: Path, rows: List[Row]) -> None:
    """Replace table and figure of the page."""
    lines = ["| " + " | ".join(HEADER) + " |", "|---|---|" + "---:|" * (len(HEADER) - 2)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    before, rest = page.read_text().split(BEGIN)
    after = rest.split(END)[1]
    figure = f"![Read-out accuracy over synaptic operations]({PICTURE.as_posix()})"
    page.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n\n{figure}\n{END}{after}")
    draw(page.parent / PICTURE, rows)


def draw(path: Path, rows: List[Row]) -> None:
    """Draw accuracy over synaptic operations, a panel for each model and a line for each method."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    models: Dict[str, List[Row]] = {}
    for row in rows:
        models.setdefault(row.model, []).append(row)
    figure, axes = pyplot.subplots(1, len(models), figsize=(4.2 * len(models), 3.6), squeeze=False)
    for axis, (model, of_model) in zip(axes[0], models.items()):
        for method in dict.fromkeys(row.method for row in of_model):
            line = [row for row in of_model if row.method == method]
            axis.plot([r.operations for r in line], [100 * r.readout for r in line], marker="o", ms=3, label=method)
        axis.axhline(100 * of_model[0].ann, color="black", lw=0.8, ls=":", label="trained network")
        axis.set(xscale="log", title=model, xlabel="synaptic operations a sample", ylabel="read-out accuracy in %")
    axes[0][0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
