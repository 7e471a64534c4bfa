"""The simulation engines and the toolbox, on LeNet (MNIST) and three networks for CIFAR-10.

Toolbox and engines run in turn in one process, several rounds, the engines three times in each; printed are medians of
the times with their range, and of the ratios within a round. Peak memory is measured in a separate process. Counts are
compared by sample and neuron with the toolbox's counts if it can simulate the network, else with `tensorflow`.

    python benchmarks/simulate.py [NETWORK ...] [--data DIR] [--samples 100] [--duration 100] [--processor] [--page]

DIR holds `mnist/` and `cifar10/` in their official layouts; without it the networks are trained on enlarged digits of
the same size, whose rates are similar. `--runs DIR` takes the parsed runs DIR/NETWORK instead.
`--processor` counts processor seconds in place of wall-clock time: for a machine with other work, on one core
(`taskset -c 0`), since threads that wait for each other use the processor too. `--page` writes the table into
docs/performance.md.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections import deque
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import numpy as np
from machine import cells, machine, spread, write_table

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
warnings.filterwarnings(
    "ignore", "Creating an ndarray from ragged"
)  # the toolbox's log of spikes

NETWORKS = {
    "lenet_mnist": "mnist",
    "rueckauer_cifar10": "cifar10",
    "mobilenet_cifar10": "cifar10",
    "resnet20_cifar10": "cifar10",
}
SUMMED = ("resnet20_cifar10",)  # the toolbox knows no sums of layers
ENGINES = ("tensorflow", "event")
PARSED = "model_parsed.h5"
TOOLBOX_BATCH = 50
SAMPLES = {
    "rueckauer_cifar10": 50
}  # where it is not 100: of 100 the toolbox keeps 8 GiB
EPOCHS = 2
REPEATS = 3  # repetitions of an engine in each round
HEAD = (
    "| network | | ms per sample | range | × toolbox's `simulate` | × its `run` | peak MiB |",
    "|---|---|---:|---:|---:|---:|---:|",
)
TITLES = {
    "toolbox, simulate": "toolbox, `simulate`",
    "toolbox, whole run": "toolbox, `run`",
}


def main() -> None:
    """Measure and print a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "networks",
        nargs="*",
        metavar="NETWORK",
        help=f"all of {', '.join(NETWORKS)} when left out",
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument(
        "--runs", type=Path, help="a run directory for each network, with its name"
    )
    parser.add_argument(
        "--processor",
        action="store_true",
        help="seconds of the processors, not of the clock",
    )
    parser.add_argument(
        "--samples", type=int, help="100, or 50 of rueckauer_cifar10, when left out"
    )
    parser.add_argument("--duration", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--page", action="store_true")
    parser.add_argument(
        "--memory-of", nargs=2, metavar=("ENGINE", "FOLDER"), help=argparse.SUPPRESS
    )
    options = parser.parse_args()
    if options.memory_of:
        name, folder = options.memory_of
        x = np.load(Path(folder) / "pictures.npy", mmap_mode="r")[: options.samples]
        if name == "toolbox":
            _toolbox_as_it_is(Path(folder), x, options.duration, time.perf_counter)
        else:
            _exhaust(_engine(name, Path(folder), x, options.duration))
        print(_peak_mib())
        return
    if (options.samples or 0) % TOOLBOX_BATCH and set(
        options.networks or NETWORKS
    ) - set(SUMMED):
        parser.error(
            f"--samples {options.samples}: not a multiple of the toolbox's batch of {TOOLBOX_BATCH}"
        )
    print(machine())
    lines, told = [*HEAD], []
    for network in options.networks or NETWORKS:
        samples = options.samples or SAMPLES.get(network, 100)
        told.append(f"`{network}` {samples} samples")
        with tempfile.TemporaryDirectory() as folder:
            if options.runs is None:
                _make(network, options.data, Path(folder))
            else:
                _take(options.runs / network, Path(folder))
            lines += _report(network, Path(folder), samples, options)
    if options.page:
        title = f"{', '.join(told)}; {options.duration} steps, {options.rounds} rounds; {machine()}:"
        write_table("engines", title, lines)


def _report(
    network: str, folder: Path, samples: int, options: argparse.Namespace
) -> List[str]:
    """Print the table of a network, and return its rows for the page."""
    x = np.load(folder / "pictures.npy")[:samples]
    engines = {name: _engine(name, folder, x, options.duration) for name in ENGINES}
    clock = time.process_time if options.processor else time.perf_counter
    toolbox = [] if network in SUMMED else ["toolbox"]
    seconds: Dict[str, List[float]] = {}
    for run in engines.values():
        _exhaust(run)  # compiles
    for _ in range(options.rounds):
        for _ in toolbox:
            simulate, whole = _toolbox_as_it_is(folder, x, options.duration, clock)
            seconds.setdefault("toolbox, simulate", []).append(simulate)
            seconds.setdefault("toolbox, whole run", []).append(whole)
        for name, run in engines.items():
            seconds.setdefault(name, []).append(
                np.median([_seconds(run, clock) for _ in range(REPEATS)])
            )
    references = [
        name for name in ("toolbox, simulate", "toolbox, whole run") if name in seconds
    ] or ["tensorflow"]
    print(f"\n{network}: {samples} samples, {options.duration} steps")
    print(
        f"{'':20}{'ms per sample':>24}"
        + "".join(f"{f'× {name}':>22}" for name in references)
        + f"{'peak MiB':>10}"
    )
    memories = {
        name: _memory(name, folder, samples, options) for name in (*toolbox, *engines)
    }
    lines = []
    for name, took in seconds.items():
        ratios = [
            f"{np.median(np.divide(seconds[other], took)):.1f}" for other in references
        ]
        milliseconds, memory = (
            [1000 * second / len(x) for second in took],
            memories[name.split(",")[0]],
        )
        columns = "".join(f"{ratio:>22}" for ratio in ratios)
        print(f"{name:20}{spread(milliseconds, 2):>24}{columns}{memory:>10}")
        first = "| |" if lines else f"| `{network}` |"
        compared = " | ".join(ratios if toolbox else ["–", "–"])
        lines.append(
            f"{first} {TITLES.get(name, f'`{name}`')} | {cells(milliseconds, 2)} | {compared} | {int(memory):,} |"
        )
    if toolbox:
        _compare("the toolbox", _toolbox_counts(folder, x, options.duration), engines)
    else:
        _compare(
            "tensorflow", _counts(engines["tensorflow"]), {"event": engines["event"]}
        )
    return lines


def _peak_mib() -> int:
    """Of this process; `getrusage` would give the parent's where that is larger."""
    status = dict(
        line.split(":", 1)
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    )
    return int(status["VmHWM"].split()[0]) // 1024


def _seconds(run: Callable[[], Iterator[Any]], clock: Callable[[], float]) -> float:
    began = clock()
    _exhaust(run)
    return clock() - began


def _take(run: Path, folder: Path) -> None:
    """Copy the converted network of a run and its test pictures."""
    [parsed] = (run / "parse").glob("*_parsed.h5")
    shutil.copy(parsed, folder / PARSED)
    from recorded_samples import (
        recorded_samples,
    )  # here, since it would count in the memory of the engines

    np.save(folder / "pictures.npy", recorded_samples(run, 1000))


def _exhaust(run: Callable[[], Iterator[Any]]) -> None:
    deque(run(), maxlen=0)  # as in a simulation, a block's counts do not outlive it


def _compare(
    title: str,
    reference: Dict[str, np.ndarray],
    engines: Dict[str, Callable[[], Iterator[Any]]],
) -> None:
    """Print for each layer the number of counts that differ from a reference."""
    counts = {name: _counts(run) for name, run in engines.items()}
    print(
        f"(sample, neuron) pairs whose counts differ from {title}; the last layer's spikes are random"
    )
    print(
        f"{'':32}{'pairs':>12}"
        + "".join(f"{name:>12}{'by at most':>12}" for name in counts)
    )
    for layer, expected in reference.items():
        line = f"    {layer:28}{expected.size:12,}"
        for found in counts.values():
            difference = np.abs(found[layer] - expected)
            line += f"{np.count_nonzero(difference):12,}{difference.max():12.0f}"
        print(line)


def _counts(run: Callable[[], Iterator[Any]]) -> Dict[str, np.ndarray]:
    blocks = list(run())
    return {
        layer: np.concatenate([block[layer] for block in blocks]) for layer in blocks[0]
    }


def _toolbox_counts(
    folder: Path, x: np.ndarray, duration: int
) -> Dict[str, np.ndarray]:
    from snnb.network.read_network import read_network
    from snnb.simulation.engines.toolbox import ToolboxEngine
    from snnb.simulation.settings import SimulationSettings

    settings = SimulationSettings(duration=duration, batch_size=TOOLBOX_BATCH)
    return (
        ToolboxEngine(read_network(folder / PARSED), settings, per_sample=True)
        .simulate(x, 0, lambda *_: None)
        .counts
    )


def _memory(name: str, folder: Path, samples: int, options: argparse.Namespace) -> str:
    """Peak memory in MiB of a process that simulates once."""
    command = [
        sys.executable,
        __file__,
        "--duration",
        str(options.duration),
        "--samples",
        str(samples),
    ]
    done = subprocess.run(
        [*command, "--memory-of", name, str(folder)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout.split()[-1]


def _make(network: str, data: Optional[Path], folder: Path) -> None:
    """Train a network briefly and parse it; write pictures next to it."""
    import tensorflow as tf

    from snnb.architectures import find
    from snnb.conversion.convert import convert
    from snnb.datasets.preparation import open_dataset, write_arrays
    from snnb.datasets.preparation_settings import PreparationSettings
    from snnb.model_files.keras import keras
    from snnb.network.read_network import write_parsed
    from snnb.training.keras_model import trained_network

    architecture = find(network)
    shape = architecture.input_shape
    if data is None:
        x, y = _enlarged_digits(shape)
        pictures = x[1000:]
        x, y = x[:1000], y[:1000]
    else:
        arrays = folder / "arrays"
        arrays.mkdir()
        name = NETWORKS[network]
        settings = PreparationSettings(
            dataset=name, source=data / name, shape=shape, limit=10_000
        )
        write_arrays(open_dataset(settings), settings, arrays)
        x, y = (
            np.load(arrays / "x_train.npy") / np.float32(255),
            np.load(arrays / "y_train.npy"),
        )
        pictures = np.load(arrays / "x_test.npy")[:1000] / np.float32(255)
    tf.random.set_seed(0)
    model = architecture.build(input_shape=shape, num_classes=10)
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=EPOCHS, batch_size=50, verbose=0)
    write_parsed(
        convert(trained_network(model), x_norm=x[:1000]).parsed,
        folder / PARSED,
        "model",
    )
    np.save(folder / "pictures.npy", pictures.astype(np.float32))


def _enlarged_digits(shape: Tuple[int, ...]) -> Tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    enlarged = np.kron(digits.images / 16, np.ones((3, 3)))
    border = [(0, 0), *(((size - 24) // 2, (size - 24) // 2) for size in shape[:2])]
    return np.repeat(
        np.pad(enlarged, border)[..., np.newaxis], shape[2], axis=3
    ).astype(np.float32), digits.target


def _engine(
    name: str, folder: Path, x: np.ndarray, duration: int
) -> Callable[[], Iterator[Dict[str, np.ndarray]]]:
    """A prepared engine: simulates all samples and yields the counts of a block, `(samples,)` + shape by layer."""
    from snnb.core.machine import processors
    from snnb.network.read_network import read_network
    from snnb.simulation.job import SimulationJob
    from snnb.simulation.run_blocks import divide_samples
    from snnb.simulation.settings import SimulationSettings

    network, settings = (
        read_network(folder / PARSED),
        SimulationSettings(samples=len(x), duration=duration),
    )
    if name == "event":
        from snnb.simulation.engines.event.event_engine import EventEngine as Engine
    else:
        from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine as Engine
    engine = Engine(network, settings)
    job = SimulationJob(network, network, settings, name, 1.0, True, True, 1.0)
    blocks = divide_samples(job, 1, processors())

    def run() -> Iterator[Dict[str, np.ndarray]]:
        for block in blocks:
            yield engine.simulate(x[block], block.start, lambda *_: None).counts

    return run


def _toolbox_as_it_is(
    folder: Path, x: np.ndarray, duration: int, clock: Callable[[], float]
) -> Tuple[float, float]:
    """Seconds that the toolbox spends in `simulate` and in all of `run`, with the log of spikes that gives counts."""
    from snntoolbox.simulation.target_simulators.INI_temporal_mean_rate_target_sim import (
        SNN,
    )

    from snnb.conversion.toolbox_config import configuration, quiet
    from snnb.model_files.keras import keras
    from snnb.simulation.settings import SimulationSettings

    inside: List[float] = []

    class Timed(SNN):
        def simulate(self, **batch: Any) -> np.ndarray:
            began = clock()
            output = super().simulate(**batch)
            inside.append(clock() - began)
            return output

    stored = keras.models.load_model(str(folder / PARSED), compile=False)
    architecture = stored.get_config()
    architecture["layers"][0]["config"]["batch_input_shape"] = (
        TOOLBOX_BATCH,
        *x.shape[1:],
    )
    model = keras.Model.from_config(architecture)
    model.set_weights(stored.get_weights())
    model.compile(
        "sgd",
        "categorical_crossentropy",
        ["accuracy", keras.metrics.top_k_categorical_accuracy],
    )
    config = configuration(
        "model",
        [
            SimulationSettings(
                samples=len(x), duration=duration, batch_size=TOOLBOX_BATCH
            )
        ],
    )
    config.set("output", "log_vars", "{'spiketrains_n_b_l_t'}")
    with quiet(), tempfile.TemporaryDirectory() as scratch:
        config.set("paths", "log_dir_of_current_run", scratch)
        snn = Timed(config)
        snn.build(model)
        began = clock()
        snn.run(x_test=x, y_test=np.eye(10)[np.zeros(len(x), int)])
        return sum(inside), clock() - began


if __name__ == "__main__":
    main()
