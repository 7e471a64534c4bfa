"""Accuracy and operations of networks calibrated for few time steps, by the weight of spikes (`--spike-weight`).

    python benchmarks/few_steps.py RUN … [--samples 1017] [--steps 8,16,32] [--spike-weights 0,0.3,1]
        [--calibration-samples 1000] [--rows docs/few-time-steps.csv]

RUN is a run directory with a parsed network of pictures with classes. Each row has two sets of pictures: the last
--samples training pictures of the run's `x_norm.npz`, which calibrate nothing, and the first --samples test pictures.
Prints the rows, and draws the figure in pictures/ beside the file --rows. Each row is appended to that file as soon as
it is measured, and rows in it are not measured again.
"""

import argparse
import csv
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np

from snnb.conversion.calibrate import calibrate
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.rewriting import centred_output, compose_pooling
from snnb.forward.analogue import Analogue
from snnb.network.read_network import read_network
from snnb.simulation.engines.event.separated import SeparatedEngine
from snnb.simulation.settings import SimulationSettings
from snnb.stages import prepare
from snnb.stages.open_run import open_run
from snnb.stages.stage import recorded_details

ROWS = Path(__file__).resolve().parents[1] / "docs" / "few-time-steps.csv"
FIGURE = "accuracy-by-spike-weight.svg"
BLOCK = 100  # pictures simulated at a time


@dataclass(frozen=True)
class Row:
    """A calibrated network; shares of pictures, and the squared error of the logits as a share of their square."""

    model: str
    steps: int
    spike_weight: float
    samples: int
    agreement_training: float  # class of the read-out is that of the trained network
    error_training: float
    agreement_test: float
    error_test: float
    trained: float  # accuracies on the test pictures
    readout: float
    spikes: float
    operations: float
    seconds: float  # processor time of the calibration

    @property
    def key(self) -> Tuple[str, int, float, int]:
        """Return the key of the row."""
        return self.model, self.steps, self.spike_weight, self.samples


def main() -> None:
    """Measure all rows, print them, and draw the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN")
    parser.add_argument("--samples", type=int, default=1017)
    parser.add_argument("--steps", default="8,16,32")
    parser.add_argument("--spike-weights", default="0,0.3,1")
    parser.add_argument("--calibration-samples", type=int, default=1000)
    parser.add_argument("--rows", type=Path, default=ROWS)
    options = parser.parse_args()
    rows = (
        {row.key: row for row in read_rows(options.rows)}
        if options.rows.exists()
        else {}
    )
    for path in options.runs:
        for steps in map(int, options.steps.split(",")):
            for weight in map(float, options.spike_weights.split(",")):
                if (open_run(path).model, steps, weight, options.samples) in rows:
                    continue
                settings = ConversionSettings(
                    calibrate=steps,
                    spike_weight=weight,
                    calibration_samples=options.calibration_samples,
                )
                row = measured(path, settings, options.samples)
                rows[row.key] = row
                print(" | ".join(cells(row)), flush=True)
                write_rows(options.rows, [rows[key] for key in sorted(rows)])
    draw(options.rows.parent / "pictures" / FIGURE, [rows[key] for key in sorted(rows)])


def read_rows(path: Path) -> List[Row]:
    """Return the rows of a file."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Row(*(field.type(row[field.name]) for field in fields(Row)))
            for row in csv.DictReader(file)
        ]


def write_rows(path: Path, rows: List[Row]) -> None:
    """Write a file of rows."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(
            file, [field.name for field in fields(Row)], lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(map(asdict, rows))


def measured(path: Path, settings: ConversionSettings, samples: int) -> Row:
    """Calibrate the network of a run, and simulate training pictures and test pictures."""
    run = open_run(path)
    network = read_network(
        run.path / "parse" / f"{run.model}_parsed.h5", with_training=True
    )
    pictures = prepare.normalisation_set(run)
    test, classes = (
        prepare.dataset_array(run, name)[:samples] for name in ("x_test", "y_test")
    )
    scale = recorded_details(run, prepare.STAGE).scale
    if len(pictures) < settings.calibration_samples + samples:
        raise SystemExit(
            f"{path} has {len(pictures)} pictures in x_norm: prepare it with a larger --norm-samples"
        )
    began = time.process_time()
    calibration = calibrate(network, pictures[: settings.calibration_samples], settings)
    seconds = time.process_time() - began
    calibrated = calibration.network
    units = (
        np.float32(calibration.layers[network.output.name].scale_factors)
        / settings.calibrate
    )
    fan_out, analogue = (
        calibrated.fan_out(),
        Analogue(centred_output(compose_pooling(network))),
    )
    figures: List[float] = []
    for x in (pictures[-samples:], (test / np.float32(scale)).astype(np.float32)):
        logits, readout, spikes, operations = analogue.outputs(x), [], 0, 0
        engine = SeparatedEngine(
            calibrated, SimulationSettings(duration=settings.calibrate, samples=len(x))
        )
        for first in range(0, len(x), BLOCK):
            found = engine.simulate(x[first : first + BLOCK], first, lambda *_: None)
            readout.append(found.readout)
            for population in calibrated.populations:
                counts = found.counts[population.name].sum(axis=0)
                spikes += int(counts.sum())
                operations += int((counts * fan_out[population.name]).sum())
        found_logits = np.concatenate(readout) * units
        found_logits -= found_logits.mean(axis=1, keepdims=True)
        agreement = (found_logits.argmax(axis=1) == logits.argmax(axis=1)).mean()
        figures += [
            float(agreement),
            float(np.square(found_logits - logits).sum() / np.square(logits).sum()),
        ]
    accuracies = [
        float((values.argmax(axis=1) == classes).mean())
        for values in (logits, found_logits)
    ]
    costs = spikes / len(x), operations / len(x), seconds
    assert settings.calibrate is not None
    return Row(
        run.model,
        settings.calibrate,
        settings.spike_weight,
        samples,
        *figures,
        *accuracies,
        *costs,
    )


def cells(row: Row) -> List[str]:
    """Return the cells of a row as they are printed."""
    shares = (
        row.agreement_training,
        row.error_training,
        row.agreement_test,
        row.error_test,
        row.trained,
        row.readout,
    )
    percentages = [f"{100 * share:.1f}" for share in shares]
    return [
        f"`{row.model}`",
        str(row.steps),
        f"{row.spike_weight:g}",
        *percentages,
        f"{row.operations:,.0f}",
    ]


def draw(path: Path, rows: List[Row]) -> None:
    """Draw the share of test pictures with the trained network's class over the operations, a panel for each model."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "snnb"})
    from matplotlib import pyplot

    models = list(dict.fromkeys(row.model for row in rows))
    figure, axes = pyplot.subplots(
        1, len(models), figsize=(4.2 * len(models), 3.6), squeeze=False
    )
    for axis, model in zip(axes.flat, models):
        lines: Dict[float, List[Row]] = {}
        for row in (row for row in rows if row.model == model):
            lines.setdefault(row.spike_weight, []).append(row)
        for weight, line in sorted(lines.items()):
            x, y = (
                [row.operations for row in line],
                [100 * row.agreement_test for row in line],
            )
            axis.plot(x, y, "o-", ms=3, label=f"--spike-weight {weight:g}")
        axis.set(
            xscale="log",
            title=model,
            xlabel="synaptic operations per sample",
            ylabel="agreement in %",
        )
    axes.flat[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
