"""Figure of layers on cores."""

import numpy as np

from snnb.chips.hardware import MEMORIES
from snnb.io.figures import Figure, plain, styled
from snnb.mapping.layers.layer_cost import LayerCost


@styled
def plot_layers(cost: LayerCost) -> Figure:
    """Draw the share of its core's memories that each layer takes, and its spikes and synaptic operations."""
    labels = [plain(f"{row.name}, core {row.core}") for row in cost.layers]
    at, cores = np.arange(len(labels)), cost.hardware.cores
    figure = Figure(figsize=(7, (1.2 + 0.3 * len(labels)) * 3))
    memory, spikes, operations = axes = figure.subplots(3, 1)
    for number, name in enumerate(MEMORIES):
        shares = [100 * getattr(row, name) / getattr(cores[row.core], name) for row in cost.layers]
        memory.barh(at + (number - 1) * 0.27, shares, 0.25, label=name)
    memory.axvline(100, color="grey", linewidth=0.8)
    memory.set(title=f"memory of the cores of {cost.hardware.name}", xlabel="% of the core")
    memory.legend()
    spikes.barh(at - 0.2, [row.spikes_in for row in cost.layers], 0.35, label="received")
    spikes.barh(at + 0.2, [row.spikes_out for row in cost.layers], 0.35, label="sent")
    spikes.set(title="spikes from and to other cores", xlabel="per sample")
    spikes.legend()
    operations.barh(at, [row.synaptic_operations for row in cost.layers], 0.7)
    operations.set(title="synaptic operations", xlabel="per sample")
    for one in axes:
        one.set_yticks(at)
        one.set_yticklabels(labels, fontsize="small")
        one.invert_yaxis()
    figure.tight_layout()
    return figure
