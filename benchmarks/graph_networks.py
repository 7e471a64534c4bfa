"""Parsed models and spike counts of the sizes that the benchmark of the graph needs, with random values."""

import json
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import h5py
import numpy as np

Layer = Tuple[str, Dict[str, Any]]
CONVOLUTION = {
    "strides": [1, 1],
    "dilation_rate": [1, 1],
    "data_format": "channels_last",
    "activation": "relu",
}
SAMPLES, STEPS = 100, 100


def convolution(
    filters: int, kernel: int, stride: int = 1, padding: str = "same"
) -> Layer:
    sizes = {
        "filters": filters,
        "kernel_size": [kernel] * 2,
        "strides": [stride] * 2,
        "padding": padding,
    }
    return "Conv2D", {**CONVOLUTION, **sizes, "use_bias": True}


def pooling(size: int, stride: int, padding: str = "valid") -> Layer:
    sizes = {"pool_size": [size] * 2, "strides": [stride] * 2, "padding": padding}
    return "AveragePooling2D", {"data_format": "channels_last", **sizes}


def dense(units: int, activation: str = "relu") -> Layer:
    return "Dense", {"units": units, "activation": activation, "use_bias": True}


FLATTEN: Layer = ("Flatten", {"data_format": "channels_last"})

ALEXNET = (
    (224, 224, 3),
    [
        convolution(96, 11, 4, "valid"),
        pooling(3, 2),
        convolution(256, 5),
        pooling(3, 2),
        convolution(384, 3),
        convolution(384, 3),
        convolution(256, 3),
        pooling(3, 2),
        FLATTEN,
        dense(4096),
        dense(4096),
        dense(2, "softmax"),
    ],
)
VGG16 = (
    (224, 224, 3),
    [
        *(convolution(64, 3) for _ in range(2)),
        pooling(2, 2),
        *(convolution(128, 3) for _ in range(2)),
        pooling(2, 2),
        *(convolution(256, 3) for _ in range(3)),
        pooling(2, 2),
        *(convolution(512, 3) for _ in range(3)),
        pooling(2, 2),
        *(convolution(512, 3) for _ in range(3)),
        pooling(2, 2),
        FLATTEN,
        dense(4096),
        dense(4096),
        dense(1000, "softmax"),
    ],
)


def write_network(
    folder: Path, name: str, shape: Sequence[int], layers: List[Layer]
) -> Tuple[Path, Path]:
    """Write NAME_parsed.h5 and spike_rate_sums.npz of a chain of layers; return their paths."""
    rng = np.random.default_rng(1)
    entries = [
        {
            "class_name": "InputLayer",
            "name": "input",
            "config": {"name": "input", "batch_input_shape": [None, *shape]},
            "inbound_nodes": [],
        }
    ]
    counts = {"input": rng.random(shape) * SAMPLES * STEPS}
    path = folder / f"{name}_parsed.h5"
    with h5py.File(str(path), "w") as file:
        weights = file.create_group("model_weights")
        weights.create_group("input")
        for number, (kind, config) in enumerate(layers):
            kernel_shape, shape = _shapes(kind, config, tuple(shape))
            layer = f"{number:02d}{kind}_{'x'.join(map(str, shape))}"
            entries.append(
                {
                    "class_name": kind,
                    "name": layer,
                    "config": {**config, "name": layer},
                    "inbound_nodes": [[[entries[-1]["name"], 0, 0, {}]]],
                }
            )
            group = weights.create_group(layer)
            if kernel_shape:
                group.attrs["weight_names"] = [
                    f"{layer}/kernel:0".encode(),
                    f"{layer}/bias:0".encode(),
                ]
                scale = np.float32(1 / np.sqrt(np.prod(kernel_shape[:-1])))
                group[f"{layer}/kernel:0"] = (
                    rng.random(kernel_shape, np.float32) - np.float32(0.5)
                ) * scale
                group[f"{layer}/bias:0"] = rng.random(kernel_shape[-1], np.float32)
            if kind != "Flatten":
                counts[layer] = rng.binomial(SAMPLES * STEPS, 0.1, shape)
        model = {"class_name": "Model", "config": {"name": name, "layers": entries}}
        file.attrs["model_config"] = json.dumps(model).encode()
    sums = folder / "spike_rate_sums.npz"
    np.savez(
        sums, num_samples=SAMPLES, num_timesteps=STEPS, warm_up=0, dt_ms=1.0, **counts
    )
    return path, sums


def _shapes(
    kind: str, config: Dict[str, Any], shape: Tuple[int, ...]
) -> Tuple[Tuple[int, ...], Tuple[int, ...]]:
    if kind == "Flatten":
        return (), (int(np.prod(shape)),)
    if kind == "Dense":
        return (shape[0], config["units"]), (config["units"],)
    size = config.get("kernel_size") or config["pool_size"]
    stride = config["strides"]
    if config["padding"] == "same":
        positions = [-(-length // step) for length, step in zip(shape, stride)]
    else:
        positions = [
            (length - taps) // step + 1
            for length, taps, step in zip(shape, size, stride)
        ]
    if kind == "Conv2D":
        return (*size, shape[2], config["filters"]), (*positions, config["filters"])
    return (), (*positions, shape[2])
