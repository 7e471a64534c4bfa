"""Populations of a graph from the description that `snnb export` writes with it, for formats that have none."""

from pathlib import Path
from typing import List, Literal, Optional, Sequence, Tuple, Union

import numpy as np
from pydantic import BaseModel, ValidationError

from snnb.core.errors import DamagedError
from snnb.graph.listed import ListedPopulation
from snnb.graph.populations import Recording
from snnb.io.text import JsonValue


class _Input(BaseModel):
    population: str


class _Population(BaseModel):
    name: str
    layer: str
    shape: Tuple[int, ...]
    coding: Optional[Literal["spikes", "current", "random", "membrane"]]  # None in a graph without spike counts
    window: Optional[Tuple[int, int]] = None
    initial_potential: Optional[List[float]] = None  # of each channel, times the threshold
    neuron: JsonValue = None  # the numbers of a neuron model

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


class _Projection(BaseModel):
    source: str
    target: str
    delay: int = 0


class _Neuron(BaseModel):
    threshold: float = 1.0


class Description(BaseModel):
    """The part of a description (docs/exports.md) that an import reads."""

    format: str
    input: Union[_Input, List[_Input], None] = None
    populations: List[_Population]
    projections: List[_Projection] = []
    neuron: _Neuron = _Neuron()
    weight_bits: Optional[int] = None
    weight_unit: str = ""
    rate_unit: str = "spikes per time step"
    num_samples: int = 1
    num_timesteps: int = 1
    warm_up: int = 0
    dt_ms: float = 1.0

    @property
    def recording(self) -> Recording:
        """Samples and steps that the spikes were counted in."""
        return Recording(self.num_samples, self.num_timesteps, self.warm_up, self.dt_ms)

    @property
    def notes(self) -> List[str]:
        """Content of the description that an import does not read, a sentence each."""
        notes = []
        if "integer" in self.weight_unit:
            notes.append("weights and biases are integers, whose thresholds are not read")
        if self.weight_bits is not None and any(np.any(one.initial_potential or 0) for one in self.populations):
            notes.append("initial potentials of integer networks are not read")
        if any(population.neuron is not None for population in self.populations):
            notes.append("the numbers of neuron models are not read: leaks, resets, offsets, biases of later steps")
        if any(projection.delay for projection in self.projections):
            notes.append("delays are not read, and synapses of one pair of neurons with different delays are one")
        return notes

    @property
    def rate_scale(self) -> float:
        """Factor from spikes per time step to the unit of rates."""
        units = {"spikes per second": "hz", "spikes per sample": "sample"}
        return self.recording.rate_scale(units.get(self.rate_unit, "step"))

    @property
    def inputs(self) -> int:
        """Number of leading populations that are inputs."""
        listed = self.input if isinstance(self.input, list) else [] if self.input is None else [self.input]
        names = {one.population for one in listed}
        return sum(population.name in names for population in self.populations)

    def listed(self, spikes: Optional[np.ndarray]) -> Sequence[ListedPopulation]:
        """Return the populations, given the spikes of all neurons."""
        sizes = [population.size for population in self.populations]
        ends = np.cumsum(sizes).tolist()
        return [
            ListedPopulation(
                population.name,
                population.shape,
                population.layer,
                population.coding or "spikes",
                None if spikes is None else spikes[end - population.size : end],
            )
            for population, end in zip(self.populations, ends)
        ]


def description_of(path: Path, format: str, nodes: int) -> Optional[Description]:
    """Return the description `NAME.json` next to an export; None if there is none that fits the file."""
    try:
        description = Description.model_validate_json(path.with_name(f"{path.name}.json").read_bytes())
    except (OSError, ValidationError):
        return None
    size = sum(population.size for population in description.populations)
    return description if (description.format, size) == (format, nodes) else None


def read_description(path: Path) -> Description:
    """Read the description of an export; raise `DamagedError` if it is none."""
    if not path.is_file():
        raise DamagedError(path, "no such file")
    try:
        return Description.model_validate_json(path.read_bytes())
    except ValidationError:
        raise DamagedError(path, "not the description of an export of snnb") from None
