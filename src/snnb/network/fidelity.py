"""Accuracy of the trained network, and of the network after each change until its conversion."""

from typing import Dict, List, Literal

from snnb.io.text import Document

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
