"""Sums over the samples of a simulation."""

from dataclasses import dataclass, field
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
    by_class : dict of int to dict of str to ndarray of int64
        As `counts`, of the samples of each class that has any; empty where it was not asked for.
    by_bin : dict of str to ndarray of int64, shape (bins, *shape)
        As `counts`, in each bin of time; empty where it was not asked for.
    """

    samples: int
    counts: Dict[str, np.ndarray]
    quality: Quality
    late: Optional[np.ndarray]
    spikes: Dict[str, List[np.ndarray]]
    by_class: Dict[int, Dict[str, np.ndarray]] = field(default_factory=dict)
    by_bin: Dict[str, np.ndarray] = field(default_factory=dict)

    def __add__(self, other: "Totals") -> "Totals":
        late = None if self.late is None or other.late is None else self.late + other.late
        return Totals(
            samples=self.samples + other.samples,
            counts=_sum(self.counts, other.counts),
            quality=self.quality + other.quality,
            late=late,
            spikes={name: [*tables, *other.spikes.get(name, [])] for name, tables in self.spikes.items()},
            by_class={
                **self.by_class,
                **{of: _sum(self.by_class.get(of, {}), counts) for of, counts in other.by_class.items()},
            },
            by_bin=_sum(self.by_bin, other.by_bin),
        )


def _sum(one: Dict[str, np.ndarray], two: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
    return {name: one[name] + counts if name in one else counts for name, counts in two.items()}
