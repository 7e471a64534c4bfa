"""Make the instances anew from their recorded networks, and compare them with those of the package.

    python benchmarks/instances/make.py NAME [--source DIR] [--run-dir DIR]

--source is the folder of the data set's files, where it is not part of the package. An instance that is not in the
package is added to it; one that is there must be equal, to the bit. A changed network has a new version.
"""

import argparse
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Optional, Tuple

from write_instance import hyperedges_sha256, traffic, write_instance

from snnb import SynapseGraph
from snnb.datasets.catalogue import find_dataset
from snnb.instances.known_instances import FOLDER, Instance, Quality
from snnb.io.files import sha256_of
from snnb.io.text import read_document
from snnb.rundir.directory import RunDirectory
from snnb.simulation.statistics import ACCURACIES, SimulationStatistics
from snnb.stages.open_run import open_run

HERE = Path(__file__).resolve().parent
SMALLEST = ("neurons_32", "axons_32", "loihi_32")
SMALL = ("neurons_128", "axons_128", "loihi_eighth")
# Where a neuron has more sources than a core has axons
WIDE = ("neurons_128", "axons_128_wide", "loihi_eighth_wide")
WIDE_LARGE = ("neurons_1024", "axons_1024_wide", "loihi_mesh_wide")
LARGE = ("neurons_1024", "axons_1024", "loihi_mesh")
# Where spikes enter at a port, and cores are unavailable
SMALLEST_PORTS = ("axons_32_ports",)
SMALL_PORTS = ("axons_128_ports",)
CALIBRATED = "--calibrate 16"
# A model in a file is taken as a classifier. The autoencoder is a model of the package that starts with the recorded
# weights and is trained with a learning rate that is 0 as float32, so that they stay.
UNCHANGED = "--optimizer sgd --learning-rate 1e-50 --epochs 1 --steps-per-epoch 1"


@dataclass(frozen=True)
class Recipe:
    """How an instance is made."""

    network: str  # one sentence
    model: str  # model of the package, or file in `networks/`
    dataset: str
    options: str = ""  # of `snnb run`
    constraints: Tuple[str, ...] = SMALL
    licence: str = "MIT"  # of the network
    version: str = "2026.1"


RECIPES = {
    "mini_network": Recipe(
        "Convolution of 4 channels, average pooling and two dense layers, trained on digits of 8 x 8 pixels.",
        "mini_network.h5",
        "digits",
        options="--samples 360",
        constraints=SMALLEST,
    ),
    "mini_poisson": Recipe(
        "The network of mini_network with a Poisson input.",
        "mini_network.h5",
        "digits",
        options="--samples 360 --input poisson",
        constraints=SMALLEST_PORTS,
    ),
    "spiking_digits": Recipe(
        "Recurrent network of leaky neurons, 64 - 32 - 10, trained with surrogate gradients (snnTorch).",
        "spiking_digits",
        "digit_events",
        constraints=SMALLEST + SMALLEST_PORTS,
    ),
    "lenet_t100": Recipe(
        "LeNet-5 with ReLU and average pooling, as parsed: 100 steps.",
        "lenet_mnist.h5",
        "mnist",
        options="--samples 1000",
    ),
    "lenet_poisson": Recipe(
        "The network of lenet_t100 with a Poisson input.",
        "lenet_mnist.h5",
        "mnist",
        options="--samples 1000 --input poisson",
        constraints=SMALL_PORTS,
    ),
    "lenet_t16": Recipe(
        "LeNet-5 with ReLU and average pooling, calibrated for 16 steps with separated firing, weights of 6 bits.",
        "lenet_mnist.h5",
        "mnist",
        options=f"{CALIBRATED} --weight-bits 6 --samples 1000",
        constraints=WIDE,
    ),
    "zambrano_mnist": Recipe(
        "Convolutional network of Zambrano and Bohte 2016 (arXiv 1609.02053), as parsed: 100 steps.",
        "zambrano_mnist.h5",
        "mnist",
        options="--samples 1000",
        constraints=WIDE,
    ),
    "autoencoder_mnist": Recipe(
        "Autoencoder 784 - 1000 - 500 - 250 - 30 - 250 - 500 - 1000 - 784 of Hinton and Salakhutdinov 2006 (Science "
        "313:504) with ReLU and weights of 4 significant bits, as parsed: 100 steps.",
        "autoencoder_mnist",
        "mnist",
        options=f"--set units=1000,500,250 --set code=30 --initial-weights networks/autoencoder_mnist.h5 {UNCHANGED} "
        "--samples 1000",
        constraints=LARGE,
    ),
    "mobilenet_cifar10": Recipe(
        "MobileNet for CIFAR-10 with depthwise convolutions, trained for 80 epochs by snnb, as parsed: 250 steps.",
        "mobilenet_80_epochs.h5",
        "cifar10",
        options="--samples 200 --duration 250",
        constraints=LARGE,
        version="2026.2",
    ),
    "rueckauer_cifar10": Recipe(
        "Convolutional network of Rueckauer et al. 2017 (Frontiers in Neuroscience 11:682), as parsed: 100 steps.",
        "rueckauer_cifar10.h5",
        "cifar10",
        options="--samples 500",
        constraints=LARGE,
    ),
    "rueckauer_pruned": Recipe(
        "Network of Rueckauer et al. 2017 with 10 % of its weights, trained again after pruning, calibrated for 16 "
        "steps with separated firing.",
        "rueckauer_pruned.h5",
        "cifar10",
        options=f"{CALIBRATED} --prune 0.001 --samples 500",  # so that the weights of 0 in the file are no synapses
        constraints=LARGE,
    ),
    "resnet20_cifar10": Recipe(
        "ResNet-20 (He et al. 2016) with the published weights of akamaster/pytorch_resnet_cifar10, calibrated for 16 "
        "steps with separated firing; original pictures instead of the JPEG copy.",
        "resnet20_published.onnx",
        "cifar10",
        options=f"--pixels torch {CALIBRATED} --samples 500",
        constraints=LARGE,
        licence="BSD-2-Clause, Copyright (c) 2018, Yerlan Idelbayev",
        version="2026.2",
    ),
    "resnet8_mlperf": Recipe(
        "ResNet-8 of the image classification benchmark of MLPerf Tiny (pretrainedResnet.h5 of mlcommons/tiny), "
        "calibrated for 16 steps with separated firing.",
        "resnet8_mlperf.h5",
        "cifar10",
        options=f"--pixels 0-255 {CALIBRATED} --samples 500",
        constraints=LARGE,
        licence="Apache-2.0",
    ),
    "vgg11_cifar10": Recipe(
        "VGG-11 for CIFAR-10 with average pooling and weights of 4 significant bits, trained for 10 of the recipe's 60 "
        "epochs by snnb, as parsed: 100 steps.",
        "vgg11_10_epochs.h5",
        "cifar10",
        options="--samples 200",
        constraints=WIDE_LARGE,
        version="2026.2",
    ),
}


def command(recipe: Recipe) -> str:
    """Return the command from the recorded network to the graph of run RUN, for the folder `benchmarks/instances`."""
    model = (
        f"networks/{recipe.model} --dataset {recipe.dataset}"
        if Path(recipe.model).suffix
        else recipe.model
    )
    return " ".join(
        f"snnb run --model {model} --run-dir RUN {recipe.options} --networkx-limit 0".split()
    )


def run_command(line: str, run_dir: Path, source: Optional[Path]) -> None:
    """Run the command of a recipe."""
    words = [str(run_dir) if word == "RUN" else word for word in shlex.split(line)[1:]]
    place = [] if source is None else ["--source", str(source)]
    print(line, *place, flush=True)
    start = [sys.executable, "-c", "from snnb.cli.app import app; app()"]
    subprocess.run(
        [*start, *words, *place, "--quiet"],
        cwd=str(HERE),
        check=True,
        stdout=subprocess.DEVNULL,
    )


def quality(run: RunDirectory, stamp: str) -> Dict[str, Quality]:
    """Return accuracy or mean squared error of the trained network and of the simulation; the read-out's if known."""
    figures = read_document(
        SimulationStatistics, run.path / "simulations" / stamp / ACCURACIES
    )
    kind = "mean_squared_error" if figures.snn_accuracy is None else "accuracy"
    read, counted = (getattr(figures, f"{of}_{kind}") for of in ("readout", "snn"))
    trained, test = (
        getattr(figures, f"ann_{kind}"),
        run.record_of("train").metrics.get(f"test_{kind}"),
    )
    return {
        kind: Quality(
            trained=trained, spiking=counted if read is None else read, test=test
        )
    }


def make(name: str, run_dir: Path, source: Optional[Path], target: Path) -> Instance:
    """Run a recipe, write the file of the instance to `target`, and return the description."""
    recipe = RECIPES[name]
    run_command(command(recipe), run_dir, source)
    run = open_run(run_dir)
    stamp = run.latest("graph")
    write_instance(
        run_dir / "graphs" / stamp / f"{run.model}_graph.h5",
        target,
        f"{name}-{recipe.version}",
    )
    dataset = find_dataset(recipe.dataset).spec
    with SynapseGraph.open(target) as graph:
        return Instance(
            name=name,
            version=recipe.version,
            network=recipe.network,
            dataset=recipe.dataset,
            pictures=graph.recording.num_samples,
            steps=graph.recording.num_timesteps,
            **quality(run, stamp),
            inputs=sum(population.size for population in graph.inputs),
            neurons=graph.number_of_neurons(),
            synapses=graph.number_of_edges(),
            spikes=traffic(graph),
            licences=(f"network: {recipe.licence}", f"data set: {dataset.licence}"),
            sha256=sha256_of(target),
            sha256_hyperedges=hyperedges_sha256(graph),
            constraints=recipe.constraints,
            recipe=command(recipe),
        )


def main() -> int:
    """Make an instance; return 1 if it differs from that of the package."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "name", choices=RECIPES, metavar="NAME", help=", ".join(RECIPES)
    )
    parser.add_argument(
        "--source", type=Path, help="folder of the data set's own files"
    )
    parser.add_argument(
        "--run-dir",
        type=Path,
        help="of the run, which is kept; by default a temporary one",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.h5"
        run_dir = (options.run_dir or Path(folder) / "run").resolve()
        source = None if options.source is None else options.source.resolve()
        instance = make(options.name, run_dir, source, made)
        description = FOLDER / f"{instance.name}.json"
        if description.exists():
            recorded = read_document(Instance, description)
            differing = [
                key for key, value in recorded if value != getattr(instance, key)
            ]
            print(
                f"{instance.name}: {'differs: ' + ', '.join(differing) if differing else 'equal'}"
            )
            return int(bool(differing))
        instance.path.write_bytes(made.read_bytes())
        instance.write(description)
        print(f"{instance.name}: written, {instance.path.stat().st_size / 1e6:.2f} MB")
        return 0


if __name__ == "__main__":
    sys.exit(main())
