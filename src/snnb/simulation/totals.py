"""Sums over the samples of a simulation."""

from dataclasses import dataclass, field
from typing import Dict, List, Optional

import numpy as np

from snnb.simulation.quality import Quality


@dataclass(frozen=True)
class Totals:
    """Sums over the samples of a block, or of all; for each field see `BlockCounts`."""

    samples: int
    counts: Dict[str, np.ndarray]  # int64, in the population's shape
    quality: Quality
    late: Optional[np.ndarray]
    spikes: Dict[str, List[np.ndarray]]  # block by block
    by_class: Dict[int, Dict[str, np.ndarray]] = field(default_factory=dict)  # counts of each class that has samples
    by_bin: Dict[str, np.ndarray] = field(default_factory=dict)

    def __add__(self, other: "Totals") -> "Totals":
        late = None if self.late is None or other.late is None else self.late + other.late
        by_class = {of: _sum(self.by_class.get(of, {}), counts) for of, counts in other.by_class.items()}
        return Totals(
            samples=self.samples + other.samples,
            counts=_sum(self.counts, other.counts),
            quality=self.quality + other.quality,
            late=late,
            spikes={name: [*tables, *other.spikes.get(name, [])] for name, tables in self.spikes.items()},
            by_class={**self.by_class, **by_class},
            by_bin=_sum(self.by_bin, other.by_bin),
        )


def _sum(one: Dict[str, np.ndarray], two: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
    return {name: one[name] + counts if name in one else counts for name, counts in two.items()}
