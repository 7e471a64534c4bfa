"""Operations per sample: synaptic operations of the spiking, multiply-accumulates of the analogue network."""

from dataclasses import dataclass

from snnb.network.network import Network
from snnb.simulation.totals import Totals


@dataclass(frozen=True)
class Energy:
    """Operations per sample.

    Attributes
    ----------
    synapses : int
        Synapses, those from the input included; the analogue network multiplies and accumulates once for each.
    synaptic_operations : float
        Sum over neurons of spikes (in the counted steps) times out-degree. The input's neurons count if they spike.
    """

    synapses: int
    synaptic_operations: float


def energy(network: Network, totals: Totals) -> Energy:
    """Compute the operations per sample from the spike counts of a simulation.

    Parameters
    ----------
    network : Network
    totals : Totals
        Sums over all samples.
    """
    fan_out = network.fan_out()
    operations = sum(int((counts * fan_out[name]).sum()) for name, counts in totals.counts.items())
    return Energy(sum(int(leaving.sum()) for leaving in fan_out.values()), operations / totals.samples)
