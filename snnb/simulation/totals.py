"""What remains of a simulation: sums over samples, so that memory does not grow with their number."""

from dataclasses import dataclass
from typing import Dict, List, Optional

import numpy as np

from snnb.simulation.quality import Quality


@dataclass(frozen=True)
class Totals:
    """Sums over the samples of a block, or of all.

    Attributes
    ----------
    samples : int
        Number of samples.
    counts : dict of str to ndarray of int64
        Spikes of each population's neurons in the steps after the warm-up, in the population's shape. The input is
        among the populations when it spikes (Poisson).
    quality : Quality
    late : ndarray of int64, shape (populations, 2), or None
        Spikes of each population in the last two quarters of the steps; None where the engine does not say.
    spikes : dict of str to list of ndarray
        Spike times of the recorded samples, the first of the run, block by block: see `BlockCounts`.
    """

    samples: int
    counts: Dict[str, np.ndarray]
    quality: Quality
    late: Optional[np.ndarray]
    spikes: Dict[str, List[np.ndarray]]

    def __add__(self, other: "Totals") -> "Totals":
        late = None if self.late is None or other.late is None else self.late + other.late
        return Totals(
            samples=self.samples + other.samples,
            counts={name: counts + other.counts[name] for name, counts in self.counts.items()},
            quality=self.quality + other.quality,
            late=late,
            spikes={name: [*tables, *other.spikes.get(name, [])] for name, tables in self.spikes.items()},
        )
