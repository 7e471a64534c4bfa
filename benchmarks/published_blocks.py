"""Points that small networks with published blocks lose when they are converted.

    python benchmarks/published_blocks.py [NAME …]

Measures the networks in tests/fixtures/model_files/blocks/ on the 360 test pictures of
the digits, and writes the table of docs/conversion.md anew. With names, prints the rows
of these networks only. tests/conversion/test_published_blocks.py measures the rows
again and compares them with the table.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, NamedTuple

import numpy as np
import onnxruntime

from snnb import Run
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import convert
from snnb.core.progress import say_nothing
from snnb.datasets import digits
from snnb.model_files.read_model import read_model
from snnb.network.network import Network
from snnb.network.trained import TrainedNetwork
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.event.separated import SeparatedEngine
from snnb.simulation.settings import SimulationSettings

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = ROOT / "tests" / "fixtures" / "model_files" / "blocks"
PAGE = ROOT / "docs" / "conversion.md"
BEGIN = "<!-- blocks: written by `python benchmarks/published_blocks.py` -->"
END = "<!-- end of blocks -->"

# Blocks by the name of the network's file.
BLOCKS = {
    "stem": "padded max pooling (stem of ResNet)",
    "residual": "residual (ResNet)",
    "aggregated": "aggregated residual, with groups (ResNeXt)",
    "preactivation": "pre-activation (ResNetV2)",
    "preactivation_first": "pre-activation right after the first convolution",
    "inception": "inception, with a padded pooling branch (GoogLeNet)",
    "dense": "dense (DenseNet)",
    "depthwise": "depthwise separable (MobileNet)",
    "inverted": "inverted residual (MobileNetV2)",
    "ceil_mode": "fire, max pooling in ceil mode (SqueezeNet)",
    "dilation": "dilated convolutions",
    "asymmetric": "asymmetric kernels (Inception V3)",
    "global_max": "global max pooling",
    "hourglass": "transposed convolutions (DeconvNet)",
}
PARSED_STEPS = 256
CALIBRATED_STEPS = 16
CONVERSIONS = {
    "as parsed": ConversionSettings(),
    "separated": ConversionSettings(calibrate=CALIBRATED_STEPS),
    "free": ConversionSettings(calibrate=CALIBRATED_STEPS, firing="free"),
    "8 bits": ConversionSettings(calibrate=CALIBRATED_STEPS, weight_bits=8),
}


class Pictures(NamedTuple):
    """Digits, float32 (samples, height, width, channels) in [0, 1], and classes."""

    x_norm: np.ndarray  # training pictures
    x_test: np.ndarray
    y_test: np.ndarray


@dataclass(frozen=True)
class Row:
    """A network, and the points that each conversion loses."""

    name: str
    trained: float  # accuracy in percent
    lost: Dict[str, float]  # by conversion

    def line(self) -> str:
        """Return the row of the table."""
        cells = [BLOCKS[self.name], f"{self.trained:.1f} %"]
        for points in self.lost.values():
            rounded = round(points, 1) + 0.0  # not -0.0
            cells.append(f"{rounded:.1f}".replace("-", "−"))
        return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure networks; write the table, or print some rows."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    names = parser.parse_args().names
    pictures = prepared_digits()
    lines = []
    for name in names or BLOCKS:
        lines.append(measure(name, pictures).line())
        print(lines[-1], flush=True)
    if not names:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(with_table(page, lines), encoding="utf-8")


def with_table(page: str, lines: List[str]) -> str:
    """Return the page with the rows of the table."""
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    head = f"| block | trained network | {' | '.join(CONVERSIONS)} |"
    rule = f"|---|---:|{'---:|' * len(CONVERSIONS)}"
    return "\n".join([before + BEGIN, head, rule, *lines, END + after])


def prepared_digits() -> Pictures:
    """Return the digits as `snnb prepare` divides them."""
    with tempfile.TemporaryDirectory() as folder:
        Run("mini_network", path=folder).prepare()
        dataset = Path(folder) / "dataset"
        with np.load(str(dataset / "x_norm.npz")) as arrays:
            x_norm = arrays["arr_0"]
        x_test = np.load(str(dataset / "x_test.npy")) / np.float32(digits.SPEC.scale)
        return Pictures(x_norm, x_test, np.load(str(dataset / "y_test.npy")))


def measure(name: str, pictures: Pictures) -> Row:
    """Convert a network in each way, and simulate the test pictures."""
    path = NETWORKS / f"{name}.onnx"
    correct = predictions_of_file(path, pictures.x_test) == pictures.y_test
    trained = percentage(correct)
    network = read_model(path, say_nothing)
    return Row(name, trained, points_lost(network, trained, pictures))


def points_lost(
    network: TrainedNetwork,
    trained: float,
    pictures: Pictures,
) -> Dict[str, float]:
    """Return what each conversion loses of the accuracy `trained`, in percent."""
    lost = {}
    for conversion, settings in CONVERSIONS.items():
        converted = convert(
            network,
            x_norm=pictures.x_norm,
            settings=settings,
            pixel_scale=digits.SPEC.scale,
        )
        spiking = converted.spiking or converted.parsed
        correct = predictions_of_spikes(spiking, pictures.x_test) == pictures.y_test
        lost[conversion] = trained - percentage(correct)
    return lost


def percentage(correct: np.ndarray) -> float:
    """Return the share of True, in percent."""
    return 100 * float(correct.mean())


def predictions_of_file(path: Path, x: np.ndarray) -> np.ndarray:
    """Return the classes by ONNX Runtime on the file, which takes one picture."""
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(str(path), providers=providers)
    [model_input] = session.get_inputs()
    classes = []
    for picture in x.transpose(0, 3, 1, 2):  # channels first
        [logits] = session.run(None, {model_input.name: picture[np.newaxis]})
        classes.append(int(logits.argmax()))
    return np.array(classes)


def predictions_of_spikes(network: Network, x: np.ndarray) -> np.ndarray:
    """Return the classes by the output that `snnb simulate` quotes.

    These are the most spikes, or the largest read-out of the random softmax of a
    network as parsed, which starts at half its threshold.
    """
    calibrated = network.steps is not None
    settings = SimulationSettings(
        samples=len(x),
        duration=network.steps or PARSED_STEPS,
        initial_potential=0.0 if calibrated else 0.5,
    )
    engine_class = SeparatedEngine if network.windowed else EventEngine
    engine = engine_class(network, settings)
    spikes = np.zeros((len(x), network.output.size), np.int64)

    def observe(steps: np.ndarray, _: object) -> None:
        nonlocal spikes
        spikes += steps.sum(axis=1)

    if network.weight_bits is not None:
        x = np.rint(x * np.float32(network.pixel))
    readout = engine.simulate(x, 0, observe).readout
    scores = spikes if calibrated else readout
    return scores.argmax(axis=1)


if __name__ == "__main__":
    main()
