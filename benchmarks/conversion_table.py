"""Convert the networks of `tensorflow.keras.applications`, and write docs/keras-networks.csv.

Each is built for ten classes and the smallest pictures that it takes, with random weights: batch normalisation has
random scales and shifts, and the statistics of random pictures, so that activations neither vanish nor grow with depth.
The last layer's kernel is scaled so that its outputs before the softmax have a standard deviation of 1. Each network is
a separate process. Networks in the results file are skipped.

    python benchmarks/conversion_table.py [NETWORK ...] [--again] [--results FILE] [--scratch DIR]
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "docs" / "keras-networks.csv"
RESULTS = ROOT / "benchmarks" / "results" / "conversion_table.json"
COLUMNS = [
    "network",
    "size",
    "weights",
    "parsed_weights",
    "difference",
    "neurons",
    "synapses",
    "refused",
]
# The smallest height and width, as each network's own documentation states it.
SIZES = {
    "VGG16": 32,
    "VGG19": 32,
    "InceptionV3": 75,
    "MobileNet": 32,
    "MobileNetV2": 32,
    "ResNet50": 32,
    "ResNet101": 32,
    "ResNet152": 32,
    "ResNet50V2": 32,
    "ResNet101V2": 32,
    "ResNet152V2": 32,
    "DenseNet121": 32,
    "DenseNet169": 32,
    "DenseNet201": 32,
    "Xception": 71,
    "InceptionResNetV2": 75,
    "NASNetMobile": 32,
    "NASNetLarge": 32,
}
PERMITTED = " with signs that permit it"  # of the batch normalisation after the first max pooling of ResNetV2
FIRST_NORM = "conv2_block1_preact_bn"
SAMPLES = 100


def main() -> None:
    """Convert the networks that are not in the results file, and write the table after each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "networks", nargs="*", metavar="NETWORK", help="all, when left out"
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="convert the networks in the results file again",
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument(
        "--scratch",
        type=Path,
        help="where one network at a time is written (up to 3 GB)",
    )
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    rows = [row for name in options.networks or SIZES for row in _rows(name)]
    if options.one:
        json.dump(converted(options.networks[0], options.scratch), sys.stdout)
        return
    measured: Dict[str, Any] = (
        json.loads(options.results.read_text(encoding="utf-8"))
        if options.results.exists()
        else {}
    )
    for name in rows:
        if name in measured and not options.again:
            continue
        with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
            command = [sys.executable, __file__, "--one", name, "--scratch", scratch]
            environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
            found = subprocess.run(
                command, stdout=subprocess.PIPE, check=True, text=True, env=environment
            )
        measured[name] = json.loads(found.stdout)
        print(name, found.stdout, flush=True)
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(
            json.dumps(measured, indent=1) + "\n", encoding="utf-8"
        )
        write_table(measured)


def _rows(name: str) -> List[str]:
    return (
        [name, name + PERMITTED]
        if name in ("ResNet50V2", "ResNet101V2", "ResNet152V2")
        else [name]
    )


def converted(name: str, scratch: Path) -> Dict[str, Any]:
    """Build a network, convert its file as `snnb parse` does, and count neurons and synapses in two ways.

    Returns
    -------
    `weights` of the network; and `refused`, the reason, or `difference` (the largest, of outputs that are
    probabilities), `parsed_weights`, `neurons`, `synapses`.
    """
    import tensorflow as tf

    from snnb.conversion.conversion_settings import ConversionSettings
    from snnb.conversion.convert import convert
    from snnb.core.errors import InputError, VerificationError
    from snnb.model_files.keras import keras
    from snnb.network.read_network import write_parsed
    from snnb.training.keras_model import trained_network

    tf.random.set_seed(0)
    kind = name.replace(PERMITTED, "")
    size = SIZES[kind]
    model = getattr(keras.applications, kind)(
        weights=None, input_shape=(size, size, 3), classes=10
    )
    x = np.random.default_rng(0).random((SAMPLES, size, size, 3)).astype(np.float32)
    _settle(model, x[:16], permitted=name.endswith(PERMITTED))
    row: Dict[str, Any] = {"size": size, "weights": model.count_params()}
    try:
        settings = ConversionSettings(batch_size=10)
        result = convert(trained_network(model), x_norm=x[:20], settings=settings)
    except (InputError, VerificationError) as error:
        return {**row, "refused": str(error).replace("cannot convert this model: ", "")}
    network = result.parsed
    write_parsed(network, scratch / "net_parsed.h5", "net")
    parsed = keras.models.load_model(str(scratch / "net_parsed.h5"), compile=False)
    neurons, synapses = counted(parsed)
    found = (
        network.neurons,
        sum(int(counts.sum()) for counts in network.fan_out().values()),
    )
    if found != (neurons, synapses):
        raise SystemExit(
            f"{name}: snnb counts {found} neurons and synapses, Keras's layers {(neurons, synapses)}"
        )
    row.update(
        difference=result.largest_difference, parsed_weights=parsed.count_params()
    )
    return {**row, "neurons": neurons, "synapses": synapses}


def _settle(model: Any, x: np.ndarray, *, permitted: bool) -> None:
    """Give batch normalisation random scales and shifts, and the statistics of these pictures; scale logits to 1."""
    from snnb.model_files.keras import keras

    random = np.random.default_rng(1)
    norms = [
        layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"
    ]
    for layer in norms:
        for variable in [layer.gamma] if layer.scale else []:
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        for variable in [layer.beta] if layer.center else []:
            variable.assign(random.normal(0, 0.3, variable.shape))
        layer.momentum = 0.0
    model(x, training=True)
    if permitted:
        _permit(model.get_layer(FIRST_NORM))
        model(x, training=True)  # later layers have other statistics now
    last = [layer for layer in model.layers if layer.weights][-1]
    last.activation, softmax = keras.activations.linear, last.activation
    last.kernel.assign(
        last.kernel / keras.Model(model.input, last.output)(x).numpy().std()
    )
    last.activation = softmax


def _permit(norm: Any) -> None:
    """Let batch normalisation shift zeros below zero; its scales are positive already."""
    scale = norm.gamma / np.sqrt(norm.moving_variance + norm.epsilon)
    norm.beta.assign(norm.moving_mean * scale - 0.1)


def counted(parsed: Any) -> Tuple[int, int]:
    """Count neurons and synapses with Keras's layers alone.

    Each layer computes on ones where there are neurons and zeros where there is padding, with a kernel of ones: the sum
    of what it gives is the number of its synapses.
    """
    from snnb.model_files.keras import keras

    layers = keras.layers
    there: Dict[str, np.ndarray] = {}
    neurons = synapses = 0
    for layer in parsed.layers:
        kind = type(layer).__name__
        if kind == "InputLayer":
            there[layer.name] = np.ones((1, *layer.output_shape[0][1:]), np.float32)
            continue
        before = layer.inbound_nodes[0].inbound_layers
        read = [
            there[source.name]
            for source in (before if isinstance(before, list) else [before])
        ]
        if kind in ("Flatten", "Reshape", "Concatenate", "ZeroPadding2D"):
            there[layer.name] = layer(read if len(read) > 1 else read[0]).numpy()
            continue
        shape = (1, *layer.output_shape[1:])
        there[layer.name] = np.ones(shape, np.float32)
        if kind in (
            "Add",
            "Activation",
            "ReLU",
        ):  # the layers that are added have counted their synapses
            neurons -= (len(read) - 1) * int(np.prod(shape)) if kind == "Add" else 0
            continue
        neurons += int(np.prod(shape))
        if kind == "Dense":
            synapses += int(read[0].sum(dtype=np.float64)) * layer.units
            continue
        places = {
            key: layer.get_config().get(key, 1) for key in ("strides", "dilation_rate")
        }
        size = layer.get_config().get("kernel_size") or layer.pool_size
        ones = layers.Conv2D(
            1,
            size,
            padding=layer.padding,
            kernel_initializer="ones",
            use_bias=False,
            **places,
        )
        each = {"Conv2D": "filters", "DepthwiseConv2D": "depth_multiplier"}.get(kind)
        meetings = ones(read[0].sum(axis=-1, keepdims=True)).numpy()
        synapses += int(meetings.sum(dtype=np.float64)) * (
            getattr(layer, each) if each else 1
        )
    return neurons, synapses


def write_table(measured: Dict[str, Any]) -> None:
    """Write the rows of the table."""
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(
            file, COLUMNS, lineterminator="\n", extrasaction="ignore"
        )
        writer.writeheader()
        for name in (
            row for network in SIZES for row in _rows(network) if row in measured
        ):
            row = {**measured[name], "network": name}
            if "refused" in row:
                layers, reason = row["refused"].split(": ")[:2]
                row["refused"] = (
                    f"{layers.split(', ')[0].replace('layer ', '')}: {reason}"
                )
            else:
                row["difference"] = f"{row['difference']:.1e}"
            writer.writerow(row)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
