"""Accuracy and synaptic operations of converted networks over the number of time steps, by method of conversion.

    python benchmarks/steps.py RUN … [--samples 1000] [--steps 4,8,16,32,64,128] [--methods 0,0.5,free,separated]
        [--rows rows.jsonl] [--page docs/results.md]

RUN is a run directory with a parsed network; of one trained with `--activation qcfs` one row is measured. Prints the
rows; with --page, replaces tables and figure of that page. Each row is appended to the file --rows as soon as it is
measured, and rows in that file are not measured again. Where a model was measured on several numbers of samples, the
summary is of the most with separated firing, and a line of the figure of the fewest.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass
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
COLUMNS = 3  # of panels
USUAL = {"usual, V0 = 0": 0.0, "usual, V0 = 0.5": 0.5}
CALIBRATED = {"calibrated, free": "free", "calibrated, separated": "separated"}
SEPARATED, QUANTISED = "calibrated, separated", "QCFS, separated"
ORDER = [*USUAL, *CALIBRATED, QUANTISED]
METHODS = {**{f"{start:g}": name for name, start in USUAL.items()}, **{f: name for name, f in CALIBRATED.items()}}


@dataclass(frozen=True)
class Row:
    """One simulation; accuracies and shares of the trained network."""

    model: str
    method: str
    steps: int
    samples: int
    ann: float
    readout: float
    spikes_accuracy: float
    latency: int
    spikes: float
    operations: float

    @property
    def key(self) -> Tuple[str, str, int, int]:
        """Return what identifies the row."""
        return self.model, self.method, self.steps, self.samples


def main() -> None:
    """Measure all rows, print them, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--steps", default="4,8,16,32,64,128")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--rows", type=Path, default=Path("steps.jsonl"))
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    known = options.rows.read_text().splitlines() if options.rows.exists() else []
    rows = {row.key: row for row in (Row(**json.loads(line)) for line in known)}
    steps, methods = [int(t) for t in options.steps.split(",")], [METHODS[m] for m in options.methods.split(",")]
    for path in options.runs:
        for row in measured(path, options.samples, steps, methods, rows):
            rows[row.key] = row
            print(" | ".join(cells(row)), flush=True)
            with options.rows.open("a") as file:
                file.write(json.dumps(asdict(row)) + "\n")
    if options.page:
        write_page(options.page, list(rows.values()))


def measured(
    path: Path, samples: int, durations: List[int], methods: List[str], known: Dict[Tuple[str, str, int, int], Row]
) -> Iterator[Row]:
    """Yield the rows of a run that are not known."""
    run = open_run(path)
    details = recorded_details(run, prepare.KIND)
    parsed = run.path / "parse" / f"{run.model}_parsed.h5"
    trained, pictures = read_network(parsed, trained=True), prepare.normalisation_set(run)
    x, y = (prepare.dataset_array(run, name)[:samples] for name in ("x_test", "y_test"))
    if trained.levels is not None:
        durations, methods = [trained.levels], [QUANTISED]
    for steps, method in ((steps, method) for steps in durations for method in methods):
        if (run.model, method, steps, samples) in known:
            continue
        network = read_network(parsed) if method == QUANTISED else converted(trained, pictures, steps, method)
        settings = SimulationSettings(
            samples=samples, duration=steps, initial_potential=USUAL.get(method, 0.0), engine="event", workers=1
        )
        job = Job(parsed, network, trained, settings, "event", details.scale, True, 1.0)
        totals = run_job(job, x, y)
        quality = totals.quality
        assert quality.readout is not None
        yield Row(
            run.model,
            method,
            steps,
            samples,
            quality.ann / samples,
            quality.readout / samples,
            float(quality.by_step[-1]) / samples,
            network.latency(steps),
            sum(int(counts.sum()) for counts in totals.counts.values()) / samples,
            findings(network, totals, steps).synaptic_operations,
        )


def converted(trained: Network, pictures: np.ndarray, steps: int, method: str) -> Network:
    """Return the network of a method."""
    if method in USUAL:
        return trained
    settings, began = ConversionSettings(calibrate=steps, firing=CALIBRATED[method]), time.process_time()
    network = calibrate(trained, pictures[: settings.calibration_samples], settings).network
    print(f"# calibrated for {steps} steps in {time.process_time() - began:.0f} s of processor time", flush=True)
    return network


HEADER = (
    "model",
    "method",
    "T",
    "samples",
    "ANN",
    "read-out",
    "spikes",
    "latency",
    "spikes a sample",
    "operations a sample",
)


def cells(row: Row) -> List[str]:
    """Return the cells of a row of the table."""
    shares = [f"{100 * share:.1f}" for share in (row.ann, row.readout, row.spikes_accuracy)]
    return [
        row.model,
        row.method,
        str(row.steps),
        f"{row.samples:,}",
        *shares,
        str(row.latency),
        f"{row.spikes:,.0f}",
        f"{row.operations:,.3g}" if row.operations < 1000 else f"{row.operations:,.0f}",
    ]


def summary(rows: List[Row]) -> Iterator[List[str]]:
    """Yield, by model, points lost with separated firing, and operations as a share of those of the usual networks.

    A usual network is taken at the first T at which its read-out loses no more than the separated one at T = 16.
    """
    for model in dict.fromkeys(row.model for row in rows):
        most = max(row.samples for row in rows if (row.model, row.method) == (model, SEPARATED))
        found = {(row.method, row.steps): row for row in rows if (row.model, row.samples) == (model, most)}
        separated = {steps: row for (method, steps), row in found.items() if method == SEPARATED}
        points = {t: round(100 * (row.ann - row.readout), 1) + 0.0 for t, row in separated.items()}  # not -0.0
        lost = [f"{points[t]:.1f}" if t in points else "" for t in (8, 16, 32)]
        shares = []
        for method in USUAL:
            usual = [row for (name, _), row in found.items() if name == method]
            if not usual:
                shares.append("")
                continue
            enough = [row for row in usual if row.readout >= min(separated[16].readout, row.ann)]
            row = min(enough or usual, key=lambda row: row.steps if enough else -row.steps)
            share = f"{separated[16].operations / row.operations:.2f}"
            shares.append(f"{share} (T = {row.steps})" if enough else f"< {share} (T > {row.steps})")
        yield [model, f"{most:,}", f"{100 * separated[16].ann:.1f}", *lost, *shares]


def table(header: Tuple[str, ...], names: int, rows: Iterator[List[str]]) -> str:
    """Return a table in Markdown whose first columns are names, the others numbers."""
    rule = "|" + "---|" * names + "---:|" * (len(header) - names)
    return "\n".join(["| " + " | ".join(header) + " |", rule, *("| " + " | ".join(row) + " |" for row in rows)])


def write_page(page: Path, rows: List[Row]) -> None:
    """Replace tables and figure of the page."""
    models = list(dict.fromkeys(row.model for row in rows))
    rows = sorted(rows, key=lambda row: (models.index(row.model), ORDER.index(row.method), row.steps, row.samples))
    before, rest = page.read_text().split(BEGIN)
    after = rest.split(END)[1]
    figure = f"![Read-out accuracy over synaptic operations]({PICTURE.as_posix()})"
    due = table(
        ("model", "samples", "ANN", "lost at T = 8", "16", "32", *(f"operations, {name}" for name in USUAL)),
        1,
        summary(rows),
    )
    every = table(HEADER, 2, map(cells, rows))
    page.write_text(f"{before}{BEGIN}\n{due}\n\n{every}\n\n{figure}\n{END}{after}")
    draw(page.parent / PICTURE, rows)


def draw(path: Path, rows: List[Row]) -> None:
    """Draw accuracy over synaptic operations, a panel for each model and a line for each method."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    models: Dict[str, List[Row]] = {}
    for row in rows:
        models.setdefault(row.model, []).append(row)
    lines = -(-len(models) // COLUMNS)
    figure, axes = pyplot.subplots(lines, COLUMNS, figsize=(4.2 * COLUMNS, 3.6 * lines), squeeze=False)
    for axis in axes.flat[len(models) :]:
        axis.remove()
    for axis, (model, of_model) in zip(axes.flat, models.items()):
        for method in dict.fromkeys(row.method for row in of_model):
            fewest = min(row.samples for row in of_model if row.method == method)
            line = [row for row in of_model if (row.method, row.samples) == (method, fewest)]
            x, y = [r.operations for r in line], [100 * r.readout for r in line]
            axis.plot(x, y, f"C{ORDER.index(method)}o-", ms=3, label=method)
        axis.axhline(100 * of_model[0].ann, color="black", lw=0.8, ls=":", label="trained network")
        axis.set(xscale="log", title=model, xlabel="synaptic operations a sample", ylabel="read-out accuracy in %")
    axes.flat[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
