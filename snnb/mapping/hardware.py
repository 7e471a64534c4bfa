"""Neuromorphic hardware: a mesh of cores and the limits of each."""

from typing import Optional, Tuple

from pydantic import BaseModel, ConfigDict


class EnergyPj(BaseModel):
    """Energy in picojoules of a spike through a router and over a link, and of a synaptic operation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    router: float
    link: float
    synapse: Optional[float] = None


class LatencyNs(BaseModel):
    """Time in nanoseconds of a spike through a router and over a link."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    router: float
    link: float


class Hardware(BaseModel):
    """A description; see `docs/mapping.md`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    mesh: Tuple[int, int]
    neurons_per_core: int
    axons_per_core: int
    synapses_per_core: Optional[int] = None
    energy_pj: EnergyPj
    latency_ns: LatencyNs
    source: str

    @property
    def cores(self) -> int:
        """Number of cores."""
        return self.mesh[0] * self.mesh[1]
