"""Measure every model at full size in all five stages and `map`, and write docs/model-matrix.csv.

Each stage is a separate command, so that its peak memory is measured; seconds and memory are read from the manifest.
The networks have full size, the data are a few random pictures in the official layout of each data set: time and memory
are measured, not accuracy. Models in the results file are skipped; rows of other models in the file stay as they are.

    python benchmarks/model_matrix.py [MODEL ...] [--again] [--results FILE] [--scratch DIR]
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from snnb.architectures import find, names  # noqa: E402
from snnb.chips.read_hardware import descriptions  # noqa: E402
from snnb.stages.open_run import open_run  # noqa: E402
from tests.datasets.official_files import MNIST_NAMES, idx_bytes, python2_batch  # noqa: E402

TABLE = ROOT / "docs" / "model-matrix.csv"
RESULTS = ROOT / "benchmarks" / "results" / "model_matrix.json"
STAGES: Dict[str, List[str]] = {
    "prepare": ["--limit", "8", "--norm-samples", "4"],
    "train": ["--epochs", "1", "--steps-per-epoch", "2", "--batch-size", "2"],
    "parse": ["--batch-size", "2"],
    "simulate": ["--samples", "2", "--duration", "20", "--batch-size", "2"],
    "graph": [],
}
DOES_NOT_FIT = 3  # exit code of `map`


def main() -> None:
    """Measure the models that are not in the results file, and write the table after each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="all, small to large, when left out"
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="measure the models in the results file again",
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument(
        "--scratch",
        type=Path,
        help="where the run directories are, one at a time (up to 8 GB)",
    )
    options = parser.parse_args()
    measured: Dict[str, Any] = (
        json.loads(options.results.read_text(encoding="utf-8"))
        if options.results.exists()
        else {}
    )
    failed = []
    for name in sorted(
        options.models or names(trained=False), key=lambda name: find(name).synapses
    ):
        if name in measured and not options.again:
            continue
        print(name, end=" ", flush=True)
        with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
            try:
                measured[name] = measure(name, Path(scratch), mapped=True)
            except subprocess.CalledProcessError as error:
                failed.append(name)
                print(
                    f"FAILED: {' '.join(error.cmd[3:5])}: exit code {error.returncode}\n{error.stderr}",
                    flush=True,
                )
                continue
        print(
            *(
                f"{stage} {_cell(cost)};"
                for stage, cost in measured[name]["stages"].items()
            ),
            flush=True,
        )
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(
            json.dumps(measured, indent=1) + "\n", encoding="utf-8"
        )
        write_table(measured)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


def measure(model: str, scratch: Path, *, mapped: bool = False) -> Dict[str, Any]:
    """Take a model through all stages in a run below `scratch`; `mapped` through `map`, too.

    Returns
    -------
    `neurons` and `synapses` of the graph that was written, and by stage `wall_s` and `peak_rss_bytes`; of which
    machine, `cores`.

    Raises
    ------
    subprocess.CalledProcessError : a stage failed; its `stderr` says why.
    """
    run = make_run(model, scratch)
    hardware = map_on_the_first(scratch) if mapped else None
    records = {
        stage: open_run(run).record_of(stage)
        for stage in (*STAGES, *(["map"] if mapped else []))
    }
    details = records["graph"].details
    costs = {
        stage: record.timing.model_dump(exclude={"started_utc"})
        for stage, record in records.items()
    }
    shutil.rmtree(run)
    cores = len(os.sched_getaffinity(0))
    counts = {"neurons": details.neurons, "synapses": details.synapses}
    return {**counts, "stages": costs, "cores": cores, "hardware": hardware}


def map_on_the_first(scratch: Path) -> str:
    """Map the run below `scratch` on the first hardware that holds it, and return that."""
    *smaller, largest = descriptions()
    for hardware in smaller:
        try:
            run_stage(scratch, "map", ["--hardware", hardware])
            return hardware
        except subprocess.CalledProcessError as error:
            if error.returncode != DOES_NOT_FIT:
                raise
    run_stage(scratch, "map", ["--hardware", largest])
    return largest


def make_run(model: str, scratch: Path) -> Path:
    """Take a model through all stages in a run below `scratch`, and return the run's directory."""
    dataset = find(model).dataset
    DATA[dataset](scratch / "data" / dataset)
    for stage, options in STAGES.items():
        run_stage(scratch, stage, ["--model", model, *options])
    return scratch / "run"


def run_stage(scratch: Path, stage: str, options: List[str]) -> None:
    """Run a stage of the run below `scratch` in a process of its own."""
    command = [
        sys.executable,
        "-c",
        "from snnb.cli.app import app; app()",
        stage,
        *options,
    ]
    command += ["--run-dir", str(scratch / "run"), "--no-upstream", "--quiet"]
    environment = {
        **os.environ,
        "SNNB_DATA": str(scratch / "data"),
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment, cwd=ROOT
    )


def write_table(measured: Dict[str, Any]) -> None:
    """Write the rows of the measured models into the table; its rows of other models stay."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    columns = list(next(iter(rows.values())))
    for name, result in measured.items():
        row = {
            "model": name,
            "neurons": result["neurons"],
            "synapses": result["synapses"],
            "hardware": result["hardware"],
        }
        for stage, cost in result["stages"].items():
            row.update(
                {
                    f"{stage}_s": f"{cost['wall_s']:.1f}",
                    f"{stage}_gib": f"{cost['peak_rss_bytes'] / 2**30:.2f}",
                }
            )
        rows[name] = row
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows.values(), key=lambda row: int(row["synapses"])))


def _cell(cost: Dict[str, float]) -> str:
    return f"{cost['wall_s']:.1f} s, {cost['peak_rss_bytes'] / 2**30:.2f} GiB"


def _mnist(folder: Path) -> None:
    """Four IDX files: 100 training and 100 test digits of noise."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for name in MNIST_NAMES:
        content = (
            random.integers(0, 256, (100, 28, 28))
            if "images" in name
            else np.arange(100) % 10
        )
        (folder / name).write_bytes(idx_bytes(content))


def _cifar10(folder: Path) -> None:
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    _batches(folder / "cifar-10-batches-py", names, b"labels", 10)


def _cifar100(folder: Path) -> None:
    place = folder / "cifar-100-python"
    _batches(place, ["train", "test"], b"fine_labels", 100)
    names = [f"class {number}".encode() for number in range(100)]
    (place / "meta").write_bytes(python2_batch({b"fine_label_names": names}))


def _batches(place: Path, names: List[str], label_key: bytes, classes: int) -> None:
    """Pickled batches of noise as CIFAR's, 100 pictures each."""
    random = np.random.default_rng(0)
    place.mkdir(parents=True)
    for name in names:
        data = random.integers(0, 256, (100, 3072), dtype=np.uint8)
        labels = [number % classes for number in range(100)]
        (place / name).write_bytes(python2_batch({b"data": data, label_key: labels}))


def _catsvsdogs(folder: Path) -> None:
    pictures = {
        f"train/{name}.{number}.jpg": (160, 120)
        for name in ("cat", "dog")
        for number in range(10)
    }
    _pictures(folder, pictures)


def _fruits360(folder: Path) -> None:
    splits = ("Training", "Test")
    _pictures(
        folder,
        {
            f"{split}/Fruit {n:03}/{n}_100.jpg": (100, 100)
            for split in splits
            for n in range(131)
        },
    )


def _imagenet(folder: Path) -> None:
    wnids = [f"n{number:08}" for number in range(1000)]
    _pictures(
        folder,
        {
            f"{split}/{wnid}/{wnid}_1.JPEG": (64, 48)
            for split in ("train", "val")
            for wnid in wnids
        },
    )
    index = {
        str(number): [wnid, f"class_{number}"] for number, wnid in enumerate(wnids)
    }
    (folder / "imagenet_class_index.json").write_text(
        json.dumps(index), encoding="utf-8"
    )


def _pictures(folder: Path, sizes: Dict[str, Any]) -> None:
    """JPEGs of noise; `sizes` gives (width, height) by path below `folder`."""
    random = np.random.default_rng(0)
    for name, (width, height) in sizes.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        noise = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / name, quality=80)


DATA: Dict[str, Callable[[Path], None]] = {
    "digits": lambda folder: None,
    "mnist": _mnist,
    "cifar10": _cifar10,
    "cifar100": _cifar100,
    "catsvsdogs": _catsvsdogs,
    "fruits360": _fruits360,
    "imagenet": _imagenet,
}


if __name__ == "__main__":
    main()
