"""Accuracy of integer networks by the bit width of their weights, and synapses and accuracy of pruned ones.

    python benchmarks/bits.py RUN … [--samples 1000] [--steps 32] [--bits 16,8,6,5,4] [--prune 0.5,0.8] [--page PAGE]

RUN is a run directory with a parsed network. All networks are calibrated for `--steps` time steps, with separated
firing. With --page, replaces the tables of that page.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import List, NamedTuple, Sequence

from snnb.conversion.calibrate import calibrate
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.network.network import DROPPED, Network
from snnb.network.read_network import read_network
from snnb.simulation.settings import SimulationSettings
from snnb.simulation.simulate import run_job
from snnb.simulation.statistics import Job, rate_statistics
from snnb.stages import prepare
from snnb.stages.open_run import open_run
from snnb.stages.stage import recorded_details

BEGIN, END = "<!-- bits: written by `python benchmarks/bits.py` -->", "<!-- end of bits -->"


class Row(NamedTuple):
    """One simulation; accuracies in %."""

    model: str
    bits: str
    prune: float
    trained: float
    readout: float
    spikes: float
    synapses: int
    operations: float


def main() -> None:
    """Measure all rows, print them, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--bits", default="16,8,6,5,4")
    parser.add_argument("--prune", default="")
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    settings = [ConversionSettings(calibrate=options.steps)]
    settings += [settings[0].changed(weight_bits=int(bits)) for bits in options.bits.split(",") if bits]
    settings += [settings[0].changed(prune=float(share)) for share in options.prune.split(",") if share]
    rows: List[Row] = []
    for path in options.runs:
        for setting in settings:
            rows.append(measured(path, setting, options.samples))
            print(" | ".join(cells(rows[-1])), flush=True)
    if options.page:
        lines = ["| " + " | ".join(HEADER) + " |", "|---|---|" + "---:|" * (len(HEADER) - 2)]
        lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
        before, rest = options.page.read_text().split(BEGIN)
        options.page.write_text(before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + rest.split(END)[1])


def measured(path: Path, settings: ConversionSettings, samples: int) -> Row:
    """Calibrate the network of a run, simulate it, and return a row."""
    assert settings.calibrate is not None
    run = open_run(path)
    scale, parsed = recorded_details(run, prepare.KIND).scale, run.path / "parse" / f"{run.model}_parsed.h5"
    trained, pictures = read_network(parsed, trained=True), prepare.normalisation_set(run)
    network: Network = calibrate(trained, pictures[: settings.calibration_samples], settings, pixel_scale=scale).network
    network = replace(network, zeros=DROPPED if settings.prune else None)
    x, y = (prepare.dataset_array(run, name)[:samples] for name in ("x_test", "y_test"))
    dynamics = SimulationSettings(samples=samples, duration=settings.calibrate, engine="event", workers=1)
    totals = run_job(Job(parsed, network, trained, dynamics, "event", scale, True, 1.0), x, y)
    found, quality = rate_statistics(network, totals, settings.calibrate), totals.quality
    assert quality.readout is not None
    shares = (100 * right / samples for right in (quality.ann, quality.readout, float(quality.by_step[-1])))
    bits = "float" if settings.weight_bits is None else str(settings.weight_bits)
    return Row(
        run.model,
        bits,
        settings.prune,
        *shares,
        found.ann_multiply_accumulates_per_sample,
        found.synaptic_operations_per_sample,
    )


HEADER = (
    "model",
    "bits",
    "pruned",
    "trained network, %",
    "read-out, %",
    "spikes, %",
    "synapses",
    "operations a sample",
)


def cells(row: Row) -> Sequence[str]:
    """Return the cells of a row of the table."""
    accuracies = [f"{share:.1f}" for share in (row.trained, row.readout, row.spikes)]
    return [row.model, row.bits, f"{row.prune:g}", *accuracies, f"{row.synapses:,}", f"{row.operations:,.0f}"]


if __name__ == "__main__":
    main()
