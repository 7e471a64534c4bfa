"""Train `rueckauer_cifar10` and `rueckauer_pruned` on all training pictures of CIFAR-10, with torch in bfloat16.

    .venv/bin/python benchmarks/instances/train.py describe rueckauer_cifar10 rueckauer.json
    snnb prepare --model rueckauer_cifar10 --source DIR --run-dir runs/r
    OTHER/bin/python benchmarks/instances/train.py train rueckauer.json weights.npz --dataset runs/r/dataset --epochs 30
    .venv/bin/python benchmarks/instances/train.py save rueckauer_cifar10 weights.npz rueckauer_cifar10.h5

OTHER is an environment with torch and numpy; torch is four times as fast on a processor as TensorFlow 2.2 is.
`describe` writes the network of a model of the package, `save` the Keras file that record.py takes.

Training: SGD with Nesterov momentum 0.9, one cycle of the learning rate, pictures flipped and shifted by up to four
pixels. There is no validation: the last weights are taken. `--keep 0.1` keeps a tenth of the weights of a trained
network, those largest in proportion to the standard deviation of their layer, and trains these on.

| network | options | test accuracy |
|---|---|---:|
| rueckauer_cifar10 | --epochs 30 | 86.41 % |
| rueckauer_pruned | --epochs 4 --learning-rate 0.02 --keep 0.1 --initial-weights rueckauer_cifar10.npz | 80.93 % |
"""

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

import numpy as np

if TYPE_CHECKING:
    import torch

SHIFT = 4
PARTS = 16  # of a batch, which are shifted alike


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    describe = commands.add_parser("describe")
    describe.add_argument("model")
    describe.add_argument("description", type=Path)
    save = commands.add_parser("save")
    save.add_argument("model")
    save.add_argument("weights", type=Path)
    save.add_argument("keras_file", type=Path)
    training = commands.add_parser("train")
    training.add_argument("description", type=Path)
    training.add_argument("weights", type=Path)
    training.add_argument("--dataset", type=Path, required=True)
    training.add_argument("--epochs", type=int, default=30)
    training.add_argument("--learning-rate", type=float, default=0.1)
    training.add_argument("--weight-decay", type=float, default=5e-4)
    training.add_argument("--batch-size", type=int, default=128)
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--initial-weights", type=Path)
    training.add_argument("--keep", type=float, default=1.0)
    given = parser.parse_args()
    if given.command == "describe":
        given.description.write_text(
            _keras_model(given.model).to_json(), encoding="utf-8"
        )
    elif given.command == "save":
        save_network(
            _keras_model(given.model), np.load(given.weights), given.keras_file
        )
    else:
        train(given)


def _keras_model(name: str) -> Any:
    from snnb.architectures.registry import find

    found = find(name)
    return found.build(found.input_shape, found.num_classes)


def save_network(model: Any, weights: Any, path: Path) -> None:
    """Write a Keras model with these weights."""
    for layer in model.layers:
        layer.set_weights(
            [
                weights[f"{layer.name}/{number}"]
                for number in range(len(layer.get_weights()))
            ]
        )
    model.save(str(path), include_optimizer=False)


def read_pictures(directory: Path, part: str) -> Tuple["torch.Tensor", "torch.Tensor"]:
    """Return pictures (N, 3, 32, 32) uint8 and classes (N,) of `train` or `test`, as `snnb prepare` writes them."""
    import torch

    pictures, classes = (
        np.load(directory / f"x_{part}.npy"),
        np.load(directory / f"y_{part}.npy"),
    )
    return torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy()), torch.from_numpy(
        classes
    )


def network(description: Dict[str, Any]) -> "torch.nn.Module":
    """Build the torch module of a Keras description with ReLU layers; its input is (N, 3, 32, 32)."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weighted = nn.ModuleDict()
            self(torch.zeros(2, 3, 32, 32))

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            values: Dict[str, torch.Tensor] = {}
            x = image
            for layer in description["config"]["layers"]:
                kind, config, name = (
                    layer["class_name"],
                    layer["config"],
                    layer["config"]["name"],
                )
                inputs = [
                    values[node[0]] for node in (layer.get("inbound_nodes") or [[]])[0]
                ] or [x]
                x = values[name] = self.apply_layer(kind, config, name, inputs)
            return x

        def apply_layer(
            self,
            kind: str,
            config: Dict[str, Any],
            name: str,
            inputs: List[torch.Tensor],
        ) -> torch.Tensor:
            x = inputs[0]
            if kind in ("Conv2D", "DepthwiseConv2D"):
                stride, taps, channels = (
                    config["strides"][0],
                    config["kernel_size"][0],
                    x.shape[1],
                )
                if name not in self.weighted:
                    groups, filters = (
                        (1, config.get("filters"))
                        if kind == "Conv2D"
                        else (channels, channels)
                    )
                    layer = nn.Conv2d(
                        channels,
                        filters,
                        taps,
                        stride,
                        bias=config["use_bias"],
                        groups=groups,
                    )
                    nn.init.kaiming_normal_(
                        layer.weight,
                        mode="fan_out" if groups == 1 else "fan_in",
                        nonlinearity="relu",
                    )
                    self.weighted[name] = layer
                if config["padding"] == "same":  # TensorFlow pads the end more
                    pad = max(
                        (-(-x.shape[2] // stride) - 1) * stride + taps - x.shape[2], 0
                    )
                    x = functional.pad(x, (pad // 2, pad - pad // 2) * 2)
                return self.weighted[name](x)
            if kind == "BatchNormalization":
                if name not in self.weighted:
                    normalise = nn.BatchNorm2d if x.dim() == 4 else nn.BatchNorm1d
                    self.weighted[name] = normalise(x.shape[1], eps=config["epsilon"])
                return self.weighted[name](x)
            if kind == "Dense":
                if name not in self.weighted:
                    self.weighted[name] = nn.Linear(
                        x.shape[1], config["units"], bias=config["use_bias"]
                    )
                return self.weighted[name](x)  # the softmax is in the loss
            if kind == "Dropout":
                return functional.dropout(x, config["rate"], self.training)
            return {
                "InputLayer": lambda: x,
                "Activation": lambda: functional.relu(x),
                "AveragePooling2D": lambda: functional.avg_pool2d(
                    x, config["pool_size"][0]
                ),
                "GlobalAveragePooling2D": lambda: x.mean((2, 3)),
                "Flatten": lambda: x.permute(0, 2, 3, 1).flatten(1),
                "Add": lambda: inputs[0] + inputs[1],
            }[kind]()

    return Network()


def arrays(layer: "torch.nn.Module") -> List["torch.Tensor"]:
    """Return views of the arrays of a layer, in Keras's order and layout."""
    from torch import nn

    if isinstance(layer, nn.Conv2d):
        views = [
            layer.weight.permute(2, 3, 1, 0)
            if layer.groups == 1
            else layer.weight.permute(2, 3, 0, 1),
            layer.bias,
        ]
    elif isinstance(layer, nn.Linear):
        views = [layer.weight.t(), layer.bias]
    else:
        views = [layer.weight, layer.bias, layer.running_mean, layer.running_var]
    return [view.detach() for view in views if view is not None]


def train(given: argparse.Namespace) -> None:
    """Train a network, write its weights after every fifth epoch, and print its test accuracy."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(given.seed)
    pictures, classes = read_pictures(given.dataset, "train")
    net = network(json.loads(given.description.read_text(encoding="utf-8"))).to(
        memory_format=torch.channels_last
    )
    layers = dict(net.weighted.items())
    if given.initial_weights:
        load(layers, np.load(given.initial_weights))
    masks = largest(
        {
            n: m.weight
            for n, m in layers.items()
            if isinstance(m, (nn.Conv2d, nn.Linear))
        },
        given.keep,
    )
    decayed = [p for p in net.parameters() if p.dim() > 1]
    groups = [
        {"params": decayed},
        {"params": [p for p in net.parameters() if p.dim() <= 1], "weight_decay": 0},
    ]
    steps, began = len(pictures) // given.batch_size, time.time()
    optimizer = torch.optim.SGD(
        groups,
        given.learning_rate,
        momentum=0.9,
        nesterov=True,
        weight_decay=given.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, given.learning_rate, total_steps=steps * given.epochs, pct_start=0.15
    )
    padded = functional.pad(pictures.float(), (SHIFT,) * 4, mode="replicate").to(
        torch.uint8
    )
    for epoch in range(1, given.epochs + 1):
        order, total = torch.randperm(len(pictures)), 0.0
        for batch in order[: steps * given.batch_size].split(given.batch_size):
            image = augmented(padded[batch])
            with torch.autocast("cpu", torch.bfloat16):
                output = net(image)
            loss = functional.cross_entropy(output.float(), classes[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                for name, mask in masks.items():
                    layers[name].weight.mul_(mask)
            total += loss.item()
        print(
            f"epoch {epoch}, loss {total / steps:.4f}, {time.time() - began:.0f} s",
            flush=True,
        )
        if epoch % 5 == 0 or epoch == given.epochs:
            np.savez(given.weights, **stored_arrays(layers))
    net.eval()
    test_pictures, test_classes = read_pictures(given.dataset, "test")
    with torch.no_grad():
        images = (batch.float() / 255 for batch in test_pictures.split(500))
        found = torch.cat(
            [
                net(image.contiguous(memory_format=torch.channels_last)).argmax(1)
                for image in images
            ]
        )
    print(
        f"test accuracy {(found == test_classes).float().mean():.2%} of {len(found):,} pictures",
        flush=True,
    )


def augmented(pictures: "torch.Tensor") -> "torch.Tensor":
    """Shift and flip padded pictures at random; values in [0, 1]."""
    import torch

    parts = []
    for part in pictures.chunk(PARTS):
        y, x = torch.randint(0, 2 * SHIFT + 1, (2,)).tolist()
        parts.append(part[:, :, y : y + 32, x : x + 32])
    images = torch.cat(parts).float() / 255
    flipped = torch.rand(len(images)) < 0.5
    images[flipped] = images[flipped].flip(3)
    return images.contiguous(memory_format=torch.channels_last)


def largest(
    weights: Dict[str, "torch.Tensor"], keep: float
) -> Dict[str, "torch.Tensor"]:
    """Return masks of the share `keep` of all weights, in proportion to the standard deviation of their layer."""
    import torch

    if keep >= 1:
        return {}
    sizes = {
        name: (weight / weight.std()).abs().detach() for name, weight in weights.items()
    }
    everything = torch.cat([size.flatten() for size in sizes.values()])
    limit = everything.kthvalue(int((1 - keep) * everything.numel())).values
    return {name: (size > limit).float() for name, size in sizes.items()}


def stored_arrays(layers: Dict[str, "torch.nn.Module"]) -> Dict[str, np.ndarray]:
    """Return copies of the arrays of layers, by `layer/number`."""
    return {
        f"{name}/{number}": array.numpy().copy()
        for name, layer in layers.items()
        for number, array in enumerate(arrays(layer))
    }


def load(layers: Dict[str, "torch.nn.Module"], stored: Any) -> None:
    """Set the arrays of layers."""
    import torch

    for name, layer in layers.items():
        for number, array in enumerate(arrays(layer)):
            array.copy_(torch.from_numpy(stored[f"{name}/{number}"]))


if __name__ == "__main__":
    main()
