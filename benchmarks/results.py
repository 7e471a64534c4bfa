"""Measure the loss of accuracy by conversion through the command line, and write the table of it in docs/results.md.

    python benchmarks/results.py --data DIR [MODEL ...] [--runs DIR]

DIR holds `mnist/` and `cifar10/` in their official layouts. A model that has a run is not trained again; rows of
other models on the page stay as they are.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

from snnb.architectures import find
from snnb.rundir.directory import RunDirectory
from snnb.stages.open_run import open_run

PAGE = Path(__file__).resolve().parents[1] / "docs" / "results.md"
BEGIN, END = "<!-- results: written by `python benchmarks/results.py` -->", "<!-- end of results -->"
SAMPLES = {"mnist": 10_000, "cifar10": 1_000}
ERRORS = "Mean squared error of the reconstruction, over pixels in [0, 1]:"
DURATION = 100
# Where spikes pass ten layers and more, rates need longer.
DURATIONS = {"mobilenet_cifar10": 250, "resnet20_cifar10": 250}
# Rounding errors of rates add up over the layers, so neurons start at half their threshold.
STARTS = {"resnet20_cifar10": "0.5"}
MODELS = (
    "mlp_mnist",
    "cnn_mnist",
    "lenet_mnist",
    "lenet_padded_mnist",
    "zambrano_mnist",
    "autoencoder_mnist",
    "rueckauer_cifar10",
    "mobilenet_cifar10",
    "resnet20_cifar10",
)
FIRST = ("model", "epochs", "samples", "steps")
LAST = ("operations ANN → SNN", "train s", "simulate s")


def main() -> None:
    """Run the models that have no run, one after the other, and write the page after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"all of {', '.join(MODELS)} when left out")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/results"))
    options = parser.parse_args()
    for model in options.models or MODELS:
        command = arguments(model)
        print(f"snnb {' '.join(command)}", flush=True)
        places = ["--source", str(options.data / find(model).dataset), "--run-dir", str(options.runs / model)]
        start = [sys.executable, "-c", "from snnb.cli.app import app; app()"]
        subprocess.run([*start, *command, *places], check=True)
        done = [name for name in MODELS if (options.runs / name / "manifest.yaml").is_file()]
        write_section({name: figures(open_run(options.runs / name)) for name in done})


def arguments(model: str) -> List[str]:
    """The command that a row of the table comes from, without where data and run are."""
    samples = SAMPLES[find(model).dataset]
    start = ["--initial-potential", STARTS[model]] if model in STARTS else []
    duration = DURATIONS.get(model, DURATION)
    return ["run", "--model", model, "--samples", str(samples), "--duration", str(duration), *start]


def figures(run: RunDirectory) -> Dict[str, Any]:
    """What a finished run says of itself."""
    simulation, train = run.record_of("simulate"), run.record_of("train")
    folder = run.path / run.directory_of("simulate", max(run.records_of("simulate")))
    return {
        **json.loads((folder / "sim_accuracies.json").read_text()),
        "epochs": train.details.epochs_run,
        "train_s": train.timing.wall_s,
        "simulate_s": simulation.timing.wall_s,
    }


def write_section(results: Dict[str, Dict[str, Any]]) -> None:
    """Put the tables between the two comments of the page; their rows of other models stay."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    section, after = rest.split(END)
    classified, _, reproduced = section.partition(ERRORS)
    judged = ("ANN", "SNN", "95 % interval", "points lost", "read-out", "differ")
    rows, others = _rows_of(classified), _rows_of(reproduced)
    for name, result in results.items():
        if "ann_accuracy" in result:
            rows[name] = _row(name, result)
        else:
            others[name] = _error_row(name, result)
    text = table([*FIRST, *judged, *LAST], [rows[name] for name in MODELS if name in rows])
    if others:
        text += f"\n\n{ERRORS}\n\n" + table([*FIRST, "ANN", "SNN", "SNN / ANN", *LAST], list(others.values()))
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def _rows_of(text: str) -> Dict[str, List[str]]:
    """The cells of a table on the page, by model."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return {line.split("`")[1]: [cell.strip() for cell in line.strip("|").split("|")] for line in lines}


def table(head: List[str], rows: List[List[str]]) -> str:
    """A table in Markdown, all columns but the first aligned right."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---", *["---:"] * (len(head) - 1)], *rows])


def _row(name: str, found: Dict[str, Any]) -> List[str]:
    ann, snn = found["ann_accuracy"], found["snn_accuracy"]
    low, high = found["snn_accuracy_interval_95"]
    return [
        *_first(name, found),
        f"{ann:.2%}",
        f"{snn:.2%}",
        f"{low:.2%} – {high:.2%}",
        f"{100 * (ann - snn):.2f}",
        f"{found['readout_accuracy']:.2%}",
        str(found["disagreements"]),
        *_last(found),
    ]


def _error_row(name: str, found: Dict[str, Any]) -> List[str]:
    ann, snn = found["ann_mean_squared_error"], found["snn_mean_squared_error"]
    return [*_first(name, found), f"{ann:.5f}", f"{snn:.5f}", f"{snn / ann:.2f}", *_last(found)]


def _first(name: str, found: Dict[str, Any]) -> Tuple[str, str, str, str]:
    return f"`{name}`", str(found["epochs"]), f"{found['num_samples']:,}", str(found["num_timesteps"])


def _last(found: Dict[str, Any]) -> Tuple[str, str, str]:
    operations = f"{found['ann_multiply_accumulates_per_sample']:,} → {found['synaptic_operations_per_sample']:,.0f}"
    return operations, f"{found['train_s']:.0f}", f"{found['simulate_s']:.0f}"


if __name__ == "__main__":
    main()
