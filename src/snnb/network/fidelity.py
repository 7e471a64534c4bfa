"""Accuracy of the trained network, and of the network after each change."""

from typing import Dict, List, Literal

from snnb.io.text import Document

Change = Literal[
    "average_pooling",
    "rectification",
    "pruning",
    "rounding",
    "pruning_and_rounding",
]
# Changes in the order in which they are made, with their names in tables
CHANGES: Dict[Change, str] = {
    "average_pooling": "max pooling → average pooling",
    "rectification": "ReLU added to layers without activation",
    "pruning": "pruning",
    "rounding": "rounding of weights",
    "pruning_and_rounding": "weight pruning and rounding",
}


class Fidelity(Document):
    """Accuracy of networks without spikes on the same test samples.

    For a network that reproduces its input, it is the mean squared error.

    Splitting activations into spikes is not a change: without an entry in `after`, the
    converted network is equivalent to the trained network.
    """

    samples: int  # the first of the test set
    classifies: bool
    trained: float
    after: Dict[Change, float]  # each with the changes before it

    @property
    def changes_made(self) -> List[Change]:
        """The changes, in the order in which they were made."""
        return [change for change in CHANGES if change in self.after]

    @property
    def loss(self) -> float:
        """Accuracy that the conversion loses."""
        return self.trained - self.after[self.changes_made[-1]]

    def loss_by(self, change: Change) -> float:
        """Accuracy that a change alone loses; 0 if it was not made."""
        accuracy_before = self.trained
        for name in self.changes_made:
            if name == change:
                return accuracy_before - self.after[name]
            accuracy_before = self.after[name]
        return 0.0

    def lines(self) -> List[str]:
        """Return a line for the trained network, and one for each change.

        The line of a change states the loss by this change.
        """
        kind = "accuracy" if self.classifies else "mean squared error"
        trained_quality = self._format(self.trained)
        samples = f"({self.samples:,} test samples)"
        lines = [f"ANN {kind}, as trained: {trained_quality} {samples}"]
        before = self.trained
        for change in self.changes_made:
            after = self.after[change]
            difference = f"{after - before:+.3g}"
            if self.classifies:
                difference = f"{100 * (after - before):+.2f} points"
            text = f"{kind} after {CHANGES[change]}: {self._format(after)}"
            lines.append(f"{text} ({difference})")
            before = after
        return lines

    def _format(self, value: float) -> str:
        """Return an accuracy or a mean squared error as text."""
        return f"{value:.2%}" if self.classifies else f"{value:.4g}"
