"""Accuracy and cost of converted networks: measure them, and write the tables of docs/results.md and docs/models.md.

    python benchmarks/results.py RUN … --pictures {original,JPEG,fruits,cats,MNIST} [--test RUN] [--trained TEXT]
        [--methods calibrated,free,free8,V0=0,V0=0.5,8bits,4bits] [--steps 16,32,…] [--samples N]
    python benchmarks/results.py [--check]

RUN is a run directory with a trained network, which is parsed if it is not yet. Its test pictures are simulated, or
those of the run --test; --pictures is their name in the tables. --trained says how the network was trained if `snnb
train` did not train it. --steps leaves out rows with other numbers of time steps. `calibrated` has separated firing,
`free` free firing; `free8` is calibrated for 8 steps with free firing, and runs longer. Each row is appended to
docs/results.csv as soon as it is measured, and rows in that file are not measured again. Of a mapped run,
docs/courses.csv records command, time and memory of its stages. Without RUN, only the pages and figures are written;
with --check, the pages are compared with the records instead, and nothing is computed.
"""

import argparse
import csv
import difflib
import re
import sys
import time
from dataclasses import asdict, dataclass, fields
from math import sqrt
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Sequence,
    Tuple,
    Type,
    TypeVar,
)

if TYPE_CHECKING:
    import numpy as np

    from snnb.network.network import Network
    from snnb.rundir.directory import RunDirectory
    from snnb.simulation.settings import SimulationSettings

DOCS = Path(__file__).resolve().parents[1] / "docs"
ROWS, PAGE, MODELS = DOCS / "results.csv", DOCS / "results.md", DOCS / "models.md"
PEERS = (
    DOCS / "spikingjelly.csv"
)  # written by benchmarks/peers/spikingjelly_converter.py
COURSES = DOCS / "courses.csv"
PICTURES = {
    "original": "original",
    "JPEG": "JPEG copy",
    "fruits": "fruits of 12 classes",
    "cats": "cats and dogs",
    "MNIST": "MNIST",
}
# Training pictures of the whole data sets, without a tenth for validation
WHOLE = {"JPEG": 45_000, "fruits": 60_923, "cats": 18_000, "MNIST": 54_000}
CALIBRATED, INTEGER_STEPS, PARSED = (8, 16, 32), (16,), (64, 128, 256)  # time steps
STARTS = {"V0=0": 0.0, "V0=0.5": 0.5}  # initial potentials of networks as parsed
BITS = {"8bits": 8, "4bits": 4}
FREE, LONGER = (4, 8, 16, 32, 64), (12, 16)
NAMES = {
    "free": "free firing",
    "calibrated": "separated firing",
    "V0=0.5": "as parsed, V0 = 0.5",
}
# Time steps by method
STEPS = {
    "calibrated": CALIBRATED,
    "free": FREE,
    "free8": LONGER,
    **dict.fromkeys(STARTS, PARSED),
    **dict.fromkeys(BITS, INTEGER_STEPS),
}
METHODS = list(STEPS)
STAGES = ["prepare", "train", "parse", "simulate", "graph", "map"]
BLOCK = 100  # pictures simulated at a time


@dataclass(frozen=True)
class Row:
    """One simulation; shares of the pictures."""

    network: str
    trained: str  # how
    sha256: str  # of the trained network's file
    pictures: str
    samples: int
    method: str
    steps: int
    ann: float  # accuracies
    readout: float
    spikes: float
    same: float  # pictures with the trained network's class, by the read-out
    worse: float  # pictures that the trained network classifies correctly, the read-out not
    latency: int
    interval: int
    operations: float  # per picture
    seconds: float  # processor time of calibration and simulation

    @property
    def key(self) -> Tuple[str, str, int, str, int]:
        """Return the key of the row."""
        return self.network, self.pictures, self.samples, self.method, self.steps

    @property
    def lost(self) -> Tuple[float, float]:
        """Return the points of accuracy that the read-out loses, and half of their 95 % interval.

        Both accuracies are those of the same pictures: the variance is that of paired differences.
        """
        loss = self.ann - self.readout
        variance = max(0.0, 2 * self.worse - loss - loss**2) / self.samples
        return 100 * loss, 196 * sqrt(variance)


@dataclass(frozen=True)
class Course:
    """A run from the pictures to the cores: its command, and what its stages cost.

    `seconds` and `gib`, wall time and peak memory, are of prepare, train, parse,
    simulate, graph and map, with slashes between.
    """

    network: str
    command: str  # that trained it
    training_pictures: int
    epochs: int
    samples: int  # that are simulated
    duration: int  # in time steps
    neurons: int
    synapses: int
    hardware: str
    cores: int
    connectivity: float  # spikes between cores per picture
    seconds: str
    gib: str


def main() -> None:
    """Measure rows, and write or check the pages."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN")
    parser.add_argument("--pictures", choices=list(PICTURES))
    parser.add_argument("--test", type=Path, metavar="RUN")
    parser.add_argument("--trained", metavar="TEXT")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--steps", type=lambda text: list(map(int, text.split(","))))
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.runs and not options.pictures:
        parser.error("--pictures: give the name of the test pictures")
    rows = read_rows()
    for path in options.runs:
        for row in measured(path, options, rows):
            rows[row.key] = row
            print(row, flush=True)
            write_rows(rows.values())
        record_course(path)
    pages = {
        page: written(page.read_text(encoding="utf-8"), list(rows.values()))
        for page, written in WRITTEN.items()
    }
    if options.check:
        sys.exit("".join(difference(page, text) for page, text in pages.items()) or 0)
    for page, text in pages.items():
        page.write_text(text, encoding="utf-8")
    draw(groups(list(rows.values())))


def difference(page: Path, text: str) -> str:
    """Return the lines in which a page differs from the one that the records give."""
    found, due = (
        page.read_text(encoding="utf-8").splitlines(True),
        text.splitlines(True),
    )
    return "".join(
        difflib.unified_diff(
            found, due, page.name, f"{page.name} from {ROWS.name}", n=0
        )
    )


Record = TypeVar("Record", "Row", "Course")


def read_rows() -> Dict[Tuple[str, str, int, str, int], Row]:
    """Return the recorded rows by their keys."""
    return {row.key: row for row in read_table(ROWS, Row)}


def read_courses() -> Dict[str, Course]:
    """Return the recorded courses by network."""
    return {course.network: course for course in read_table(COURSES, Course)}


def read_table(path: Path, kind: Type[Record]) -> List[Record]:
    """Return the rows of a CSV file as dataclasses; none of a file that is missing."""
    if not path.exists():
        return []
    names = {field.name: field.type for field in fields(kind)}
    with path.open(newline="", encoding="utf-8") as file:
        records = []
        for row in csv.DictReader(file):
            records.append(kind(*(names[name](row[name]) for name in names)))
        return records


def record_course(path: Path) -> None:
    """Record the course of a run in docs/courses.csv if the run is mapped."""
    from snnb.stages.open_run import open_run

    run = open_run(path)
    if not (run.path / "maps").exists():
        return
    records = [run.record_of(stage) for stage in STAGES]
    _, train, _, simulate, graph, mapping = records
    timings = [record.timing for record in records]
    seconds = [f"{timing.wall_s:,.0f}" for timing in timings]
    gib = [f"{timing.peak_rss_bytes / 2**30:.1f}" for timing in timings]
    courses = read_courses()
    courses[run.model] = Course(
        network=run.model,
        command=" ".join(train.command),
        training_pictures=training_pictures(run),
        epochs=train.details.epochs_run,
        samples=simulate.details.summary.num_samples,
        duration=simulate.params.duration,
        neurons=graph.details.neurons,
        synapses=graph.details.synapses,
        hardware=mapping.params.hardware,
        cores=mapping.details.cores.cores,
        connectivity=mapping.details.traffic.connectivity,
        seconds=" / ".join(seconds),
        gib=" / ".join(gib),
    )
    with COURSES.open("w", newline="", encoding="utf-8") as file:
        names = [field.name for field in fields(Course)]
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        by_synapses = sorted(courses.values(), key=lambda course: course.synapses)
        writer.writerows(map(asdict, by_synapses))


def write_rows(rows: Iterable[Row]) -> None:
    """Write the records, in order of the networks in the tables."""
    with ROWS.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(
            file, [field.name for field in fields(Row)], lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(
            asdict(row)
            for group in groups(list(rows)).values()
            for row in group.values()
        )


Group = Dict[Tuple[str, int], Row]  # rows by method and number of steps
Found = Mapping[
    Tuple[str, str, int], Group
]  # by network, pictures, and number of pictures


def groups(rows: Sequence[Row]) -> Dict[Tuple[str, str, int], Group]:
    """Return the rows of each network and set of pictures: by pictures, then by size of the network."""
    found: Dict[Tuple[str, str, int], Group] = {}
    for row in sorted(rows, key=lambda row: (METHODS.index(row.method), row.steps)):
        found.setdefault((row.network, row.pictures, row.samples), {})[
            row.method, row.steps
        ] = row
    size = {
        name: max(row.operations / row.steps for row in rows if row.network == name)
        for name, _, _ in found
    }
    order = sorted(
        found, key=lambda key: (list(PICTURES).index(key[1]), -size[key[0]], key)
    )
    return {key: found[key] for key in order}


# Measurements


def measured(
    path: Path,
    options: argparse.Namespace,
    known: Mapping[Tuple[str, str, int, str, int], Row],
) -> Iterator[Row]:
    """Yield the rows of a run that are not known."""
    from snnb import Run
    from snnb.conversion.calibrate import calibrate
    from snnb.conversion.conversion_settings import ConversionSettings
    from snnb.network.read_network import read_network
    from snnb.simulation.settings import SimulationSettings
    from snnb.stages import prepare, train
    from snnb.stages.open_run import open_run
    from snnb.stages.stage import recorded_details

    Run(path=path).parse()  # if it is not up to date
    run, other = open_run(path), open_run(options.test or path)
    details = recorded_details(other, prepare.STAGE)
    x, y = (
        prepare.dataset_array(other, name)[: options.samples]
        for name in ("x_test", "y_test")
    )
    trained = read_network(
        run.path / "parse" / f"{run.model}_parsed.h5", with_training=True
    )
    file = next(
        file
        for file in run.record_of("train").outputs
        if file.path == train.trained_file(run)
    )
    pictures = prepare.normalisation_set(run)
    names = (
        run.model,
        options.trained or recipe(run),
        file.sha256[:16],
        options.pictures,
        len(x),
    )
    for method in options.methods.split(","):
        for steps in STEPS[method]:
            if options.steps and steps not in options.steps:
                continue
            if (run.model, options.pictures, len(x), method, steps) in known:
                continue
            began, network = time.process_time(), trained
            if method not in STARTS:
                settings = ConversionSettings(
                    calibrate=8 if method == "free8" else steps,
                    weight_bits=BITS.get(method),
                    firing="free" if method.startswith("free") else "separated",
                )
                chosen = pictures[: settings.samples_to_calibrate]
                network = calibrate(
                    trained, chosen, settings, pixel_scale=details.pixel_scale
                ).network
            dynamics = SimulationSettings(
                samples=len(x),
                duration=steps,
                initial_potential=STARTS.get(method, 0.0),
                engine="event",
            )
            *shares, operations = classified(run, network, trained, dynamics, x, y)
            costs = network.latency(steps), network.interval(steps), operations
            yield Row(
                *names,
                method,
                steps,
                *shares,
                *costs,
                float(round(time.process_time() - began)),
            )


def recipe(run: "RunDirectory") -> str:
    """Return how `snnb train` trained the network of a run."""
    record = run.record_of("train")
    return (
        f"{record.details.epochs_run} epochs, {training_pictures(run):,} pictures, "
        f"TensorFlow {record.environment.tensorflow}"
    )


def training_pictures(run: "RunDirectory") -> int:
    """Return the number of pictures that a run was trained on, without those for validation."""
    split = run.record_of("prepare").details.splits["train"]
    share = 1 - run.record_of("train").params.validation_split
    return round(split.shape[0] * share)


def classified(
    run: "RunDirectory",
    network: "Network",
    trained: "Network",
    settings: "SimulationSettings",
    x: "np.ndarray",
    y: "np.ndarray",
) -> Tuple[float, ...]:
    """Simulate pictures with classes; return the fields of a `Row` from `ann` to `worse`, and the operations."""
    import numpy as np

    from snnb.core.machine import processors
    from snnb.forward.analogue import Analogue
    from snnb.simulation.engines.event.event_engine import EventEngine
    from snnb.simulation.engines.event.separated import SeparatedEngine

    scale = run.record_of("prepare").details.scale
    engine = (
        SeparatedEngine(network, settings)
        if network.windowed
        else EventEngine(network, settings, processors())
    )
    fan_out, analogue, output = network.fan_out(), Analogue(trained), network.output
    guesses: List[np.ndarray] = []
    operations = 0
    for first in range(0, len(x), BLOCK):
        pixels = x[first : first + BLOCK].astype(np.float32) / np.float32(scale)
        sent = (
            pixels
            if network.weight_bits is None
            else np.rint(pixels * np.float32(network.pixel))
        )
        spikes = np.zeros((len(pixels), output.size), np.int64)

        def observe(steps: np.ndarray, _: object, spikes: np.ndarray = spikes) -> None:
            spikes += steps.sum(axis=1)

        found = engine.simulate(sent, first, observe)
        readout = found.readout
        assert readout is not None
        if output.integer_threshold is not None:
            readout = (
                readout
                / np.broadcast_to(
                    output.integer_threshold.astype(np.float64), output.shape
                ).ravel()
            )
        guess = np.where(spikes.any(axis=1), spikes.argmax(axis=1), -1)
        guesses.append(
            np.stack(
                [analogue.outputs(pixels).argmax(axis=1), readout.argmax(axis=1), guess]
            )
        )
        operations += sum(
            int((c.sum(axis=0) * fan_out[name]).sum())
            for name, c in found.counts.items()
        )
    ann, readout, spikes = np.concatenate(guesses, axis=1)
    shares = [
        ann == y,
        readout == y,
        spikes == y,
        readout == ann,
        (ann == y) & (readout != y),
    ]
    return (
        *(round(float(share.mean()), 6) for share in shares),
        round(operations / len(x), 1),
    )


# Pages


def with_tables(text: str, rows: Sequence[Row]) -> str:
    """Return docs/results.md with the tables of the records."""
    for name, section in SECTIONS.items():
        begin, end = (
            f"<!-- {name}: written by `python benchmarks/results.py` -->",
            f"<!-- end of {name} -->",
        )
        before, rest = text.split(begin)
        text = "\n".join(
            [before + begin, *section(groups(rows)), end + rest.split(end)[1]]
        )
    return text


def with_accuracies(text: str, rows: Sequence[Row]) -> str:
    """Return docs/models.md with the accuracies of the records in the last column of its first table.

    In brackets: the number of training pictures, if they are not the whole data set.
    """
    cells = {}
    for row in rows:
        if row.pictures == "original":
            continue
        count = re.search(r"([\d,]+) pictures", row.trained)
        cells[row.network] = f"{100 * row.ann:.1f} %"
        if count and int(count[1].replace(",", "")) < WHOLE[row.pictures]:
            cells[row.network] += f" ({count[1]})"
    line = re.compile(
        r"^(\| `(\w+)` \|.* \| )(not trained|[\d.]+ %(?: \([\d,]+\))?) \|$",
        re.MULTILINE,
    )
    return line.sub(lambda match: f"{match[1]}{cells.get(match[2], match[3])} |", text)


Cells = List[str]


def markdown(table: List[Cells]) -> List[str]:
    """Return the lines of a table, whose first row is the header; columns of numbers are aligned right."""
    head, *rows = table
    numeric = [
        all(re.fullmatch(r"[−–\d., ±/()kMT]*", row[column]) for row in rows)
        for column in range(len(head))
    ]
    rule = ["---:" if aligned else "---" for aligned in numeric]
    return ["| " + " | ".join(cells) + " |" for cells in (head, rule, *rows)]


def percent(value: float) -> str:
    """Return a share as a percentage."""
    return f"{100 * value:.1f}"


def points(row: Row) -> str:
    """Return the points that the read-out loses, with their interval."""
    loss, half = row.lost
    return f"{round(loss, 1) + 0.0:.1f} ± {half:.1f}".replace("-", "−")  # not -0.0


def quantity(value: float) -> str:
    """Return a number of operations in thousands or millions, with three digits."""
    unit, letter = (1e6, "M") if value >= 999.5e3 else (1e3, "k")
    digits = 2 if value < 9.995 * unit else 1 if value < 99.95 * unit else 0
    return f"{value / unit:,.{digits}f}{letter}"


def joined(
    group: Group, keys: Sequence[Tuple[str, int]], text: Callable[[Row], str]
) -> str:
    """Return the texts of some rows of a network, or an en dash, with slashes between."""
    return " / ".join(text(group[key]) if key in group else "–" for key in keys)


def having(found: Found, *methods: str) -> Iterator[Tuple[str, Group, Row]]:
    """Yield name, all rows, and any row of the networks with rows of a method, but of the JPEG copy."""
    for (network, pictures, _), group in found.items():
        if pictures != "JPEG" and any(method in methods for method, _ in group):
            yield f"`{network}`", group, next(iter(group.values()))


FEW = [("calibrated", steps) for steps in CALIBRATED]


def accuracy_table(found: Found) -> List[str]:
    """Return the table of the networks and their accuracy in few time steps."""
    table = [
        [
            "network",
            "trained",
            "test pictures",
            "trained network",
            "T = 8",
            "T = 16",
            "T = 32",
            "same class",
        ]
    ]
    for name, group, row in having(found, "calibrated"):
        low, high = wilson(row.ann, row.samples)
        pictures = f"{row.samples:,} {PICTURES[row.pictures]}"
        ann = f"{percent(row.ann)} ({percent(low)}–{percent(high)})"
        few = [joined(group, [key], both) for key in FEW]
        table.append(
            [
                name,
                row.trained,
                pictures,
                ann,
                *few,
                joined(group, FEW, lambda row: percent(row.same)),
            ]
        )
    return markdown(table)


def cost_table(found: Found) -> List[str]:
    """Return the table of losses and costs of the calibrated networks."""
    table = [
        [
            "network",
            "lost at T = 8",
            "16",
            "32",
            "latency",
            "interval",
            "operations at 8 / 16 / 32",
        ]
    ]
    for name, group, _ in having(found, "calibrated"):
        lost = [joined(group, [key], points) for key in FEW]
        row = next(row for (method, _), row in group.items() if method == "calibrated")
        times = [f"{time // row.steps} T" for time in (row.latency, row.interval)]
        table.append(
            [
                name,
                *lost,
                *times,
                joined(group, FEW, lambda row: quantity(row.operations)),
            ]
        )
    return markdown(table)


def free_table(found: Found) -> List[str]:
    """Return the table of free firing: losses by latency, and operations."""
    keys = [("free", steps) for steps in FREE]
    head = ["network", "trained network", *(f"lost at {steps}" for steps in FREE)]
    longer = [("free8", steps) for steps in LONGER]
    head += [
        f"calibrated for 8, lost after {' / '.join(map(str, LONGER))}",
        "operations at 8 / 16 / 32",
    ]
    table = [head]
    for name, group, row in having(found, "free"):
        lost = [joined(group, [key], points) for key in keys]
        on = joined(group, longer, lambda row: points(row).split(" ±")[0])
        operations = joined(
            group,
            [("free", steps) for steps in CALIBRATED],
            lambda row: quantity(row.operations),
        )
        table.append([name, percent(row.ann), *lost, on, operations])
    return markdown(table)


def both(row: Row) -> str:
    """Return the accuracies of read-out and spikes."""
    return f"{percent(row.readout)} / {percent(row.spikes)}"


def integer_table(found: Found) -> List[str]:
    """Return the table of integer networks."""
    keys = [("calibrated", steps) for steps in INTEGER_STEPS]
    keys += [(bits, steps) for bits in BITS for steps in INTEGER_STEPS]
    names = {"calibrated": "float32", "8bits": "8 bits", "4bits": "4 bits"}
    head = [f"{names[method]}, T = {steps}" for method, steps in keys]
    table = [["network", "trained network", *head, "same class"]]
    for name, group, row in having(found, *BITS):
        shares = [joined(group, [key], both) for key in keys]
        table.append(
            [
                name,
                percent(row.ann),
                *shares,
                joined(group, keys, lambda row: percent(row.same)),
            ]
        )
    return markdown(table)


def parsed_table(found: Found) -> List[str]:
    """Return the table of networks as parsed."""
    keys = [(start, steps) for start in STARTS for steps in PARSED]
    head = [f"{start.replace('=', ' = ')}, {steps} steps" for start, steps in keys]
    table = [["network", "trained network", *head, f"operations, {PARSED[-1]} steps"]]
    for name, group, row in having(found, *STARTS):
        shares = [joined(group, [key], both) for key in keys]
        longest = [
            row
            for (method, steps), row in group.items()
            if method in STARTS and steps == PARSED[-1]
        ]
        table.append(
            [
                name,
                percent(row.ann),
                *shares,
                quantity(longest[0].operations) if longest else "–",
            ]
        )
    return markdown(table)


# By the networks here that are nearest: conversion, network, training for the conversion, neurons, accuracy of the
# trained network, by latency (4, 8, 16, 32, 64 steps), with more steps (in brackets), and the difference from the
# networks here. Accuracies of 10,000 original test pictures of CIFAR-10 or MNIST, unless the difference says more.
QCFS, TUNED, PLAIN = "QCFS (Bu et al. 2022, ICLR)", "weights tuned", "IF"
HALF = "IF, starts at half its threshold"
DEEPER, MAX = "a deeper network", "max pooling; trained on original pictures"
PUBLISHED = {
    ("resnet20", "resnet20_cifar10"): [
        (
            QCFS,
            "ResNet-20",
            "yes",
            HALF,
            "91.77",
            "83.8",
            "89.55",
            "91.62",
            "92.24",
            "92.35",
            "",
            "other weights",
        ),
        (
            *(
                "Local threshold balancing (Bu et al. 2025, CVPR)",
                "ResNet-18",
                "no",
                f"{HALF}; delayed read-out",
            ),
            *(
                "69.76",
                "",
                "",
                "",
                "65.55",
                "68.53",
                "69.03 (128), 69.21 (256)",
                "ImageNet",
            ),
        ),
        (
            *(
                "TSC (Han & Roy 2020, ECCV)",
                "ResNet-20",
                "",
                "IF, spikes coded in time",
                "91.47",
            ),
            *("", "", "", "", "69.38", "91.42 (≥ 512)", "other weights"),
        ),
        (
            *(
                "Sengupta et al. 2019, Front. Neurosci. 13:95",
                "ResNet-20",
                "",
                PLAIN,
                "89.10",
            ),
            *("", "", "", "", "", "87.46", "other weights"),
        ),
        (
            *(
                "SNN Calibration (Li et al. 2021, ICML)",
                "ResNet-20",
                TUNED,
                PLAIN,
                "95.68",
            ),
            *("", "", "94.33", "", "", "", "a wider network"),
        ),
    ],
    ("vgg11_cifar10",): [
        (
            "QCFS",
            "VGG-16",
            "yes",
            HALF,
            "95.52",
            "",
            "94.95",
            "95.40",
            "95.54",
            "95.55",
            "",
            DEEPER,
        ),
        (
            "SNN Calibration",
            "VGG-16",
            TUNED,
            PLAIN,
            "95.76",
            "",
            "",
            "93.65",
            "",
            "",
            "",
            DEEPER,
        ),
        (
            "SNN Calibration",
            "VGG-16",
            TUNED,
            PLAIN,
            "95.72",
            "",
            "",
            "",
            "93.71",
            "95.14",
            "",
            DEEPER,
        ),
    ],
    ("rueckauer_cifar10",): [
        (
            *(
                "Rueckauer et al. 2017, Front. Neurosci. 11:682",
                "its CIFAR-10 network",
                "no",
                PLAIN,
                "88.87",
            ),
            *("", "", "", "", "", "88.82", MAX),
        ),
    ],
    ("lenet_mnist",): [
        (
            "Rueckauer et al. 2017",
            "LeNet",
            "no",
            PLAIN,
            "99.44",
            "",
            "",
            "",
            "",
            "",
            "99.44",
            "other weights",
        ),
    ],
}
OWN = {  # methods of the rows here: training for the conversion, neurons
    "free": (TUNED, "IF, with initial potentials"),
    "calibrated": (TUNED, "IF, with firing windows"),
    "V0=0.5": ("no", HALF),
}


def published_table(found: Found) -> List[str]:
    """Return the table of published conversions, each after the networks here that are nearest to it."""
    table = [["conversion", "network", "training", "neurons", "trained network"]]
    table[0] += [*(f"{steps} steps" for steps in FREE), "more steps", "difference"]
    for nearest, published in PUBLISHED.items():
        for (network, pictures, samples), group in found.items():
            for method, kind in OWN.items() if network in nearest else ():
                rows = {
                    row.latency: percent(row.readout)
                    for (of, _), row in group.items()
                    if of == method
                }
                few = [rows.pop(steps, "") for steps in FREE]
                longest = ", ".join(
                    f"{share} ({steps})" for steps, share in sorted(rows.items())
                )
                ann, tested = (
                    percent(next(iter(group.values())).ann),
                    f"{samples:,} pictures ({PICTURES[pictures]})",
                )
                if longest or any(few):
                    table.append(
                        [
                            f"`snnb`, {NAMES[method]}",
                            f"`{network}`",
                            *kind,
                            ann,
                            *few,
                            longest,
                            tested,
                        ]
                    )
        table += map(list, published)
    return markdown(table)


def peer_table(_: Found) -> List[str]:
    """Return the table of SpikingJelly's converter."""
    table = [
        [
            "recipe of SpikingJelly",
            *(f"{steps} steps" for steps in FREE[:4]),
            "operations at 8 / 16 / 32",
        ]
    ]
    rows: Dict[str, Dict[int, Dict[str, str]]] = {}
    with PEERS.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["recipe"], {})[int(row["steps"])] = row
    for recipe, by_steps in rows.items():
        shares = [percent(float(by_steps[steps]["readout"])) for steps in FREE[:4]]
        operations = " / ".join(
            quantity(float(by_steps[steps]["operations"])) for steps in CALIBRATED
        )
        table.append([recipe, *shares, operations])
    return markdown(table)


def course_table(_: Found) -> List[str]:
    """Return the table of the runs from the pictures to the cores."""
    table = [
        [
            "command",
            "training pictures",
            "epochs",
            "simulated",
            "neurons",
            "synapses",
            "cores",
            "spikes between cores",
            "seconds",
            "GiB",
        ]
    ]
    for course in read_courses().values():
        cells = [
            f"`{course.command}`",
            f"{course.training_pictures:,}",
            f"{course.epochs}",
            f"{course.samples} × {course.duration} steps",
            f"{course.neurons:,}",
            f"{course.synapses:,}",
            f"{course.cores:,} of `{course.hardware}`",
            quantity(course.connectivity),
            course.seconds,
            course.gib,
        ]
        table.append(cells)
    return markdown(table)


def draw(found: Found) -> None:
    """Draw the accuracy over latency and over operations: of the published ResNet-20, and of all networks."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": "snnb", "font.size": 8}
    )
    from matplotlib import pyplot

    drawn = [
        (name.strip("`"), group, row) for name, group, row in having(found, "free")
    ]
    for file, networks in (
        ("free-firing.svg", drawn),
        ("free-firing-resnet20.svg", [one for one in drawn if one[0] == "resnet20"]),
    ):
        figure, grid = pyplot.subplots(
            len(networks),
            2,
            figsize=(7.5, 2.4 * len(networks)),
            squeeze=False,
            sharey="row",
        )
        for axes, (name, group, trained) in zip(grid, networks):
            for axis, cost in zip(axes, ("latency", "operations")):
                axis.axhline(
                    100 * trained.ann,
                    color="grey",
                    lw=0.8,
                    ls="--",
                    label="trained network",
                )
                for method, label in NAMES.items():
                    rows = [row for (of, _), row in group.items() if of == method]
                    axis.plot(
                        [getattr(row, cost) for row in rows],
                        [100 * row.readout for row in rows],
                        "o-",
                        ms=3,
                    )
                    axis.lines[-1].set_label(label)
                axis.set(
                    xscale="log",
                    title=name,
                    xlabel={"latency": "latency in time steps"}.get(cost, "operations"),
                )
                axis.set_ylim(100 * trained.ann - 15, 100 * trained.ann + 2)
            axes[0].set_ylabel("accuracy in %")
        grid[0, 0].legend(loc="lower right")
        figure.tight_layout()
        figure.savefig(DOCS / "pictures" / file, metadata={"Date": None})


def hours(found: Found) -> List[str]:
    """Return the sentence that states the cost of the records by network, without training."""
    seconds: Dict[str, float] = {}
    for (network, _, _), group in found.items():
        seconds[network] = seconds.get(network, 0) + sum(
            row.seconds for row in group.values()
        )
    most = max(seconds, key=lambda network: seconds[network])
    return [
        f"The records took {sum(seconds.values()) / 3600:.1f} hours of processor time, "
        f"without trainings, most of them `{most}`: {seconds[most] / 60:.0f} minutes."
    ]


SECTIONS: Dict[str, Callable[[Found], List[str]]] = {
    "accuracies": accuracy_table,
    "costs": cost_table,
    "free": free_table,
    "peers": peer_table,
    "integers": integer_table,
    "networks as parsed": parsed_table,
    "published": published_table,
    "courses": course_table,
    "hours": hours,
}
WRITTEN = {PAGE: with_tables, MODELS: with_accuracies}


def wilson(share: float, samples: int) -> Tuple[float, float]:
    """Return the 95 % interval of a share."""
    from snnb.simulation.accuracy import wilson_interval

    return wilson_interval(share * samples, samples)


if __name__ == "__main__":
    main()
