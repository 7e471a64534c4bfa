"""Accuracy of the trained network, and of the network after each change until its conversion."""

from typing import TYPE_CHECKING, Dict, List, Literal, Mapping, Optional

from snnb.io.text import Document

if TYPE_CHECKING:
    import numpy as np

    from snnb.network.network import Network
    from snnb.network.trained import TrainedNetwork

Change = Literal["average_pooling", "rectification", "pruning", "rounding", "pruning_and_rounding"]
CHANGES: Dict[Change, str] = {  # in the order in which they are made
    "average_pooling": "max pooling → average pooling",
    "rectification": "ReLU added to layers without activation",
    "pruning": "pruning",
    "rounding": "rounding of weights",
    "pruning_and_rounding": "weight pruning and rounding",
}


class Fidelity(Document):
    """Accuracy without spikes on the same test samples, or mean squared error of a network that reproduces its input.

    Splitting activations into spikes is not a change: without an entry in `after`, the converted network is equivalent
    to the trained network.
    """

    samples: int  # the first of the test set
    classifies: bool
    trained: float
    after: Dict[Change, float]  # each with the changes before it

    @property
    def made(self) -> List[Change]:
        """The changes, in the order in which they were made."""
        return [change for change in CHANGES if change in self.after]

    @property
    def lost(self) -> float:
        """Accuracy that the conversion loses."""
        return self.trained - self.after[self.made[-1]]

    def lines(self) -> List[str]:
        """Return a line for the trained network and one for each change, with the loss by this change."""
        kind, form = ("accuracy", "{:.2%}") if self.classifies else ("mean squared error", "{:.4g}")
        lines = [f"ANN {kind}, as trained: {form.format(self.trained)} ({self.samples:,} test samples)"]
        before = self.trained
        for change in self.made:
            now = self.after[change]
            difference = f"{100 * (now - before):+.2f} points" if self.classifies else f"{now - before:+.3g}"
            lines.append(f"{kind} after {CHANGES[change]}: {form.format(now)} ({difference})")
            before = now
        return lines


def measure_fidelity(
    trained: "TrainedNetwork",
    changes: Mapping[Change, "Network"],
    x: "np.ndarray",
    y: "Optional[np.ndarray]",
    output_scale: float = 1.0,
) -> Fidelity:
    """Measure the trained network and the network after each change on the same samples.

    `x` are images, float32 (samples, height, width, channels) in [0, 1]; `y` their class ids, or None for a network
    that reproduces its input, whose output of 1 stands for `output_scale` in a changed network.
    """
    import numpy as np

    from snnb.forward.analogue import Analogue

    figures = []
    analogues = [(Analogue(trained), 1.0), *((Analogue(network), output_scale) for network in changes.values())]
    for analogue, unit in analogues:
        values = analogue.outputs(x)
        if y is not None:
            figures.append(float((values.argmax(axis=1) == y).mean()))
        else:
            figures.append(float(np.square(values.astype(np.float64) * unit - x.reshape(len(x), -1)).mean()))
    ann, *after = figures
    return Fidelity(samples=len(x), classifies=y is not None, trained=ann, after=dict(zip(changes, after)))
