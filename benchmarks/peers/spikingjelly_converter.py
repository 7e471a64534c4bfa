"""SpikingJelly's own converter on the published ResNet-20: accuracy and operations by number of time steps.

python spikingjelly_converter.py resnet20-12fca82f.th RUN/dataset [--samples 1017] [--calibration-samples 1000]

The weights are those of akamaster/pytorch_resnet_cifar10; RUN has the original pictures of CIFAR-10, of which those of
training calibrate. Needs spikingjelly 2.0.0 with torch and torchvision. Written to standard output are the rows of
docs/spikingjelly.csv. Operations are defined as in snnb: for each spike the synapses that it reaches, without the
constant input and without those of zeros around the picture; the average pooling is composed into the layer after it.
"""

import argparse
import csv
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import torch
from spikingjelly.activation_based import ann2snn, functional
from torch import nn

STEPS, BATCH = (4, 8, 16, 32), 100
PASSES = 40  # over the training pictures, 400 batches: thresholds grow to their values batch by batch
CLASSES = 10
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RECIPES: Dict[str, Callable[[Any], Any]] = {
    "rate coding, 99.9 % by channel, half threshold": lambda data: (
        ann2snn.RateCodingRecipe(
            data, mode="99.9%", channel_wise=True, half_threshold=True
        )
    ),
    "local threshold balancing": lambda data: ann2snn.LocalThresholdBalancingRecipe(
        data * PASSES
    ),
}
DELAYED = "local threshold balancing"  # whose authors leave out the first steps of the read-out


class Block(nn.Module):
    """Two convolutions and a shortcut without trained weights: a convolution, since the converter knows no padding."""

    def __init__(self, before: int, channels: int) -> None:
        super().__init__()
        stride = channels // before
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.bn1, self.relu1 = nn.BatchNorm2d(channels), nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2, self.relu2 = nn.BatchNorm2d(channels), nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:  # every second position, zeros in the added channels
            self.shortcut = nn.Conv2d(before, channels, 1, stride, bias=False)
            kernel = torch.zeros(channels, before, 1, 1)
            kernel[channels // 4 :][:before] = torch.eye(before)[:, :, None, None]
            self.shortcut.weight = nn.Parameter(kernel)

    def forward(self, x: Any) -> Any:
        """Compute activations."""
        return self.relu2(
            self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x))))) + self.shortcut(x)
        )


class ResNet20(nn.Module):
    """The network of He et al. 2016 for CIFAR-10, with the names of the published weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu = (
            nn.Conv2d(3, 16, 3, 1, 1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
        )
        self.layer1 = nn.Sequential(Block(16, 16), Block(16, 16), Block(16, 16))
        self.layer2 = nn.Sequential(Block(16, 32), Block(32, 32), Block(32, 32))
        self.layer3 = nn.Sequential(Block(32, 64), Block(64, 64), Block(64, 64))
        self.pool, self.flatten, self.linear = (
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(64, CLASSES),
        )

    def forward(self, x: Any) -> Any:
        """Compute logits."""
        x = self.layer3(self.layer2(self.layer1(self.relu(self.bn1(self.conv1(x))))))
        return self.linear(self.flatten(self.pool(x)))


def main() -> None:
    """Convert by each recipe, and write the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--samples", type=int, default=1017)
    parser.add_argument("--calibration-samples", type=int, default=1000)
    options = parser.parse_args()
    test = normalised(options.pictures / "x_test.npy", options.samples)
    classes = torch.from_numpy(
        np.load(options.pictures / "y_test.npy")[: options.samples].astype(np.int64)
    )
    training = normalised(options.pictures / "x_train.npy", options.calibration_samples)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["recipe", "steps", "samples", "ann", "readout", "operations"])
    for name, recipe in RECIPES.items():
        network = trained(options.weights)
        with torch.no_grad():
            ann = sum(
                int((network(x).argmax(1) == y).sum())
                for x, y in zip(test.split(BATCH), classes.split(BATCH))
            )
        spiking = (
            ann2snn.Converter(recipe(training.split(BATCH))).convert(network).eval()
        )
        starts = {name: dict.fromkeys(STEPS, 0)}
        if name == DELAYED:
            starts[f"{name}, delayed read-out"] = {
                steps: delay(spiking, training, steps) for steps in STEPS
            }
        right, operations = simulated(spiking, test, classes, starts)
        for read, steps in right:
            shares = [
                round(number / len(test), 6) for number in (ann, right[read, steps])
            ]
            writer.writerow(
                [
                    read,
                    steps,
                    len(test),
                    *shares,
                    round(operations[steps] / len(test), 1),
                ]
            )
        sys.stdout.flush()


def trained(file: Path) -> ResNet20:
    """Return the network with its published weights."""
    network = ResNet20().eval()
    saved = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
    shortcuts = {
        name: values
        for name, values in network.state_dict().items()
        if "shortcut" in name
    }
    network.load_state_dict(
        {
            **shortcuts,
            **{name[len("module.") :]: values for name, values in saved.items()},
        }
    )
    return network


def normalised(file: Path, samples: int) -> Any:
    """Return the first pictures of a file, normalised as for the training."""
    pictures = np.load(file, mmap_mode="r")[:samples].astype(np.float32) / 255
    return torch.from_numpy(
        ((pictures - MEAN) / DEVIATION).astype(np.float32).transpose(0, 3, 1, 2).copy()
    )


def delay(spiking: nn.Module, training: Any, steps: int) -> int:
    """Return the first step that is read, as SpikingJelly estimates it on training pictures."""
    start: int = ann2snn.estimate_delay_start(
        spiking, [(training[:BATCH], None)], "cpu", steps
    )
    return start


def simulated(
    spiking: nn.Module, test: Any, classes: Any, starts: Dict[str, Dict[int, int]]
) -> Tuple[Dict[Tuple[str, int], int], Dict[int, int]]:
    """Return the pictures that are classified correctly, by read-out and number of steps, and all operations."""
    count = [0]
    for name, module in spiking.named_modules():
        if (
            isinstance(module, (nn.Conv2d, nn.AdaptiveAvgPool2d))
            and name != "conv1"
            and "shortcut" not in name
        ):
            module.register_forward_pre_hook(counter(count, module, name))
    right, operations = (
        {(read, steps): 0 for read in starts for steps in STEPS},
        dict.fromkeys(STEPS, 0),
    )
    for x, y in zip(test.split(BATCH), classes.split(BATCH)):
        functional.reset_net(spiking)
        count[0], sums = 0, [torch.zeros(len(x), CLASSES)]
        for step in range(1, max(STEPS) + 1):
            with torch.no_grad():
                sums.append(sums[-1] + spiking(x))
            if step in operations:
                operations[step] += count[0]
                for read, first in starts.items():
                    right[read, step] += int(
                        ((sums[step] - sums[first[step]]).argmax(1) == y).sum()
                    )
    return right, operations


def counter(
    count: List[int], module: nn.Module, name: str
) -> Callable[[nn.Module, Any], None]:
    """Return a hook that adds the synapses that the spikes of an input reach, with those of the block's shortcut."""
    pooled = isinstance(module, nn.AdaptiveAvgPool2d)
    synapses: Dict[Any, Any] = {}  # by shape of a picture

    def reached(shape: Any) -> Any:
        if pooled:
            return torch.full(shape, CLASSES)
        ones, kernel = torch.ones(1, *shape), torch.ones_like(module.weight)
        outputs = torch.ones_like(
            nn.functional.conv2d(ones, kernel, None, module.stride, module.padding)
        )
        leaving = nn.functional.conv_transpose2d(
            outputs,
            kernel,
            None,
            module.stride,
            module.padding,
            output_padding=module.stride[0] - 1,
        )[0]
        if name.endswith("conv1"):
            leaving[:, :: module.stride[0], :: module.stride[0]] += 1
        return leaving.round().long()

    def count_spikes(_: nn.Module, values: Any) -> None:
        [x] = values
        if x.shape[1:] not in synapses:
            synapses[x.shape[1:]] = reached(x.shape[1:])
        count[0] += int(((x != 0).sum(0) * synapses[x.shape[1:]]).sum())

    return count_spikes


if __name__ == "__main__":
    main()
