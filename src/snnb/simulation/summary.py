"""The main quantities of a simulation.

They are part of `sim_accuracies.json`, and of the record in the manifest.
"""

from typing import Optional, Tuple

from pydantic import Field
from typing_extensions import Annotated

from snnb.core.quantities import Quantity, percent, percents
from snnb.io.text import Document
from snnb.network.quantities import LATENCY, SAMPLE_INTERVAL

Accuracy = Optional[float]  # a fraction of 1
Interval = Optional[Tuple[float, float]]  # 95 % confidence interval (Wilson)

# Quantities of several documents
SAMPLES = Quantity("samples")
STEPS = Quantity("counted time steps", per="sample")
MEAN_RATE = Quantity("spikes/neuron and step", short="rate")
ADDITIONS = Quantity("synaptic operations", per="sample", short="operations")


class SimulationSummary(Document):
    """The main quantities of a simulation, which the manifest records.

    A classifier has accuracies, and a network that reproduces its input has mean
    squared errors. The description of a field is its definition; docs/simulation.md is
    made from them.
    """

    num_samples: Annotated[int, SAMPLES] = Field(description="simulated samples")
    ann_accuracy: Annotated[
        Accuracy,
        Quantity(
            "ANN accuracy",
            percent,
            short="ANN",
            interval="ann_accuracy_interval_95",
        ),
    ] = Field(
        default=None,
        description=(
            "of the trained network on the same samples, also if the conversion "
            "changes it; not of a network from a NIR file"
        ),
    )
    ann_accuracy_interval_95: Annotated[
        Interval,
        Quantity("ANN accuracy, 95 %", percents),
    ] = Field(
        default=None,
        description="Wilson's 95 % confidence interval of `ann_accuracy`",
    )
    readout_accuracy: Annotated[
        Accuracy,
        Quantity(
            "read-out accuracy",
            percent,
        ),
    ] = Field(
        default=None,
        description=(
            "of the class with the largest accumulated input of the output layer; not "
            "of the engine `toolbox`"
        ),
    )
    readout_accuracy_interval_95: Annotated[
        Interval,
        Quantity("read-out accuracy, 95 %", percents),
    ] = Field(
        default=None,
        description=(
            "its interval, if the spikes of the output are random, so that it is the "
            "SNN accuracy"
        ),
    )
    snn_accuracy: Annotated[
        Accuracy,
        Quantity(
            "output spike accuracy",
            percent,
        ),
    ] = Field(
        default=None,
        description=(
            "of the class with most spikes; a sample without output spikes counts as "
            "wrong, as in the toolbox"
        ),
    )
    snn_accuracy_interval_95: Annotated[
        Interval,
        Quantity("output spike accuracy, 95 %", percents),
    ] = Field(default=None, description="its interval")
    ann_mean_squared_error: Annotated[
        Optional[float],
        Quantity("ANN mean squared error", short="ANN error"),
    ] = Field(
        default=None,
        description=(
            "of an autoencoder: mean over the pixels of the squared difference between "
            "image and output, in the units of the trained network"
        ),
    )
    readout_mean_squared_error: Annotated[
        Optional[float],
        Quantity("read-out mean squared error", short="read-out error"),
    ] = Field(
        default=None,
        description="the same of the accumulated input of the output layer",
    )
    snn_mean_squared_error: Annotated[
        Optional[float],
        Quantity("SNN mean squared error", short="SNN error"),
    ] = Field(default=None, description="the same of the rate of the output")
    latency_steps: Annotated[int, LATENCY] = Field(
        description="steps until a sample has passed all layers",
    )
    interval_steps: Annotated[int, SAMPLE_INTERVAL] = Field(
        description=(
            "steps from one sample to the next; shorter than the latency with "
            "separated firing only"
        ),
    )
    mean_rate: Annotated[float, MEAN_RATE] = Field(
        description=(
            "spikes of all populations but the input ÷ (neurons · counted steps · "
            "samples)"
        ),
    )
    synaptic_operations_per_sample: Annotated[float, ADDITIONS] = Field(
        description=(
            "additions: sum over neurons of spikes · out-degree, in the counted steps. "
            "A constant input has no spikes and is not among them"
        ),
    )

    @property
    def classifies(self) -> bool:
        """Whether the network has accuracies, not errors."""
        return self.snn_accuracy is not None

    @property
    def quoted_accuracy(
        self,
    ) -> Annotated[
        Accuracy,
        Quantity(
            "SNN accuracy",
            percent,
            short="SNN",
            interval="quoted_accuracy_interval_95",
        ),
    ]:
        """Accuracy of the output spikes, or of the read-out if a softmax draws the spikes.

        It is None without labels, and for a network that reproduces its input.
        """
        if self.readout_accuracy_interval_95 is None:
            return self.snn_accuracy
        return self.readout_accuracy

    @property
    def quoted_accuracy_interval_95(
        self,
    ) -> Annotated[Interval, Quantity("SNN accuracy, 95 %", percents)]:
        """Wilson's 95 % confidence interval of `quoted_accuracy`."""
        return self.readout_accuracy_interval_95 or self.snn_accuracy_interval_95
