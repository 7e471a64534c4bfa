"""Accuracy and synaptic operations of converted networks over the number of time steps, by method of conversion.

    python benchmarks/steps.py RUN … [--samples 1000] [--steps 4,8,16,32,64,128] [--methods 0,0.5,free,separated]
        [--rows docs/accuracy-over-time-steps.csv] [--page docs/results.md]

RUN is a run directory with a parsed network; if it was trained with `--activation qcfs`, one row is measured. Prints
the rows; with --page, replaces tables and figures of that page. Each row is appended to the file --rows as soon as it
is measured, and rows in that file are not measured again. If a model was measured on several numbers of samples, the
tables have the largest number, and a line of a figure the smallest.
"""

import argparse
import csv
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import numpy as np

from snnb.conversion.calibrate import calibrate
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.network.network import Network
from snnb.network.read_network import read_network
from snnb.simulation.settings import SimulationSettings
from snnb.simulation.simulate import run_job
from snnb.simulation.statistics import Job, rate_statistics
from snnb.stages import prepare
from snnb.stages.open_run import open_run
from snnb.stages.stage import recorded_details

BEGIN, END = "<!-- steps: written by `python benchmarks/steps.py` -->", "<!-- end of steps -->"
ROWS = Path(__file__).resolve().parents[1] / "docs" / "accuracy-over-time-steps.csv"
FIGURES = {  # in pictures/ beside the page: name of the file, by the quantity of the x axis
    "operations": ("accuracy-over-operations.svg", "synaptic operations a sample"),
    "latency": ("accuracy-over-latency.svg", "latency in time steps"),
}
LOST = 0.01  # of accuracy, by the smallest T that the table of latencies lists
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
    interval: int
    spikes: float
    operations: float

    @property
    def lost(self) -> float:
        """Return the loss of the read-out compared with the trained network; percentage with one decimal."""
        return round(self.ann - self.readout, 3) + 0.0  # not -0.0

    @property
    def key(self) -> Tuple[str, str, int, int]:
        """Return the key of the row."""
        return self.model, self.method, self.steps, self.samples


def main() -> None:
    """Measure all rows, print them, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--steps", default="4,8,16,32,64,128")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--rows", type=Path, default=ROWS)
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    rows = {row.key: row for row in read_rows(options.rows)} if options.rows.exists() else {}
    steps, methods = [int(t) for t in options.steps.split(",")], [METHODS[m] for m in options.methods.split(",")]
    for path in options.runs:
        for row in measured(path, options.samples, steps, methods, rows):
            rows[row.key] = row
            print(" | ".join(cells(row)), flush=True)
            write_rows(options.rows, in_order(list(rows.values())))
    if options.page:
        write_page(options.page, in_order(list(rows.values())))


def read_rows(path: Path) -> List[Row]:
    """Return the rows of a file."""
    with path.open(newline="") as file:
        return [Row(*(field.type(row[field.name]) for field in fields(Row))) for row in csv.DictReader(file)]


def in_order(rows: List[Row]) -> List[Row]:
    """Return the rows by model, method, T and samples."""
    models = list(dict.fromkeys(row.model for row in rows))
    return sorted(rows, key=lambda row: (models.index(row.model), ORDER.index(row.method), row.steps, row.samples))


def write_rows(path: Path, rows: List[Row]) -> None:
    """Write a file of rows."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, rows))


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
            network.interval(steps),
            sum(int(counts.sum()) for counts in totals.counts.values()) / samples,
            rate_statistics(network, totals, steps).synaptic_operations_per_sample,
        )


def converted(trained: Network, pictures: np.ndarray, steps: int, method: str) -> Network:
    """Return the network of a method."""
    if method in USUAL:
        return trained
    settings, began = ConversionSettings(calibrate=steps, firing=CALIBRATED[method]), time.process_time()
    network = calibrate(trained, pictures[: settings.calibration_samples], settings).network
    print(f"# calibrated for {steps} steps in {time.process_time() - began:.0f} s of processor time", flush=True)
    return network


HEADER = ("model", "method", "T", "samples", "ANN", "read-out", "spikes", "latency", "interval", "operations a sample")


def cells(row: Row, bound: str = "") -> List[str]:
    """Return the cells of a row of the table."""
    shares = [f"{100 * share:.1f}" for share in (row.ann, row.readout, row.spikes_accuracy)]
    operations = f"{row.operations:,.3g}" if row.operations < 1000 else f"{row.operations:,.0f}"
    times = str(row.latency), str(row.interval)
    return [row.model, row.method, f"{bound}{row.steps}", f"{row.samples:,}", *shares, *times, operations]


def sufficient(rows: List[Row]) -> Iterator[List[str]]:
    """Yield, by model and method, the row of the smallest T at which the read-out loses at most `LOST`.

    If no measured T is sufficient, the row of the largest T.
    """
    by_method: Dict[Tuple[str, str], Dict[int, Row]] = {}
    for row in rows:  # in order: the last row of a T has the most samples
        by_method.setdefault((row.model, row.method), {})[row.steps] = row
    for of_steps in by_method.values():
        enough = [row for row in of_steps.values() if row.lost <= LOST]
        yield cells(enough[0]) if enough else cells(list(of_steps.values())[-1], bound="> ")


def summary(rows: List[Row]) -> Iterator[List[str]]:
    """Yield, by model, points lost with separated firing, and operations as a share of the usual networks'.

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
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    due = table(
        ("model", "samples", "ANN", "lost at T = 8", "16", "32", *(f"operations, {name}" for name in USUAL)),
        1,
        summary(rows),
    )
    figures = []
    for quantity, (name, label) in FIGURES.items():
        draw(page.parent / "pictures" / name, rows, quantity, label)
        figures.append(f"![Read-out accuracy over {label}](pictures/{name})")
    parts = "\n\n".join([table(HEADER, 2, sufficient(rows)), due, *figures])
    page.write_text(f"{before}{BEGIN}\n{parts}\n{END}{after}", encoding="utf-8")


def draw(path: Path, rows: List[Row], quantity: str, label: str) -> None:
    """Draw accuracy over a quantity of the rows, a panel for each model and a line for each method."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "snnb"})
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
            x, y = [getattr(row, quantity) for row in line], [100 * row.readout for row in line]
            axis.plot(x, y, f"C{ORDER.index(method)}o-", ms=3, label=method)
        axis.axhline(100 * of_model[0].ann, color="black", lw=0.8, ls=":", label="trained network")
        axis.set(xscale="log", title=model, xlabel=label, ylabel="read-out accuracy in %")
    axes.flat[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
