"""The simulations of a run beside each other: with what parameters each was made, and what came out."""

from dataclasses import dataclass
from typing import Dict, List, Optional, cast

from snnb.core.options import Options
from snnb.io.text import JsonValue
from snnb.pipeline import simulate
from snnb.pipeline.differences import ByStage, differing
from snnb.pipeline.train import shown_params
from snnb.rundir.directory import RunDirectory

SimulationRecord = simulate.SimulationRecord


@dataclass(frozen=True)
class Simulation:
    """A simulation, and what tells it apart from those that it is shown with.

    Attributes
    ----------
    stamp : str
    record : SimulationRecord
    differs : dict
        Its parameters, and those that its network was made with, that are not the same in all.
    """

    stamp: str
    record: SimulationRecord
    differs: Dict[str, JsonValue]

    @property
    def label(self) -> Optional[str]:
        """The name that a person gave it."""
        return self.record.details.label

    def metric(self, name: str) -> Optional[float]:
        """Return a recorded figure, such as `snn_accuracy`; None where the network has none."""
        return self.record.metrics.get(name)

    @property
    def quality(self) -> str:
        """How good it is, in words: the accuracy, or the error of a network that reproduces its input."""
        accuracy, error = self.metric("snn_accuracy"), self.metric("snn_mean_squared_error")
        if accuracy is not None:
            return f"{accuracy:.2%}"
        return "" if error is None else f"error {error:.4g}"


def simulations_of(run: RunDirectory) -> List[Simulation]:
    """Return all simulations of a run, the oldest first."""
    records = cast("Dict[str, SimulationRecord]", run.records_of(simulate.KIND.name))
    told = differing([parameters_of(run, record) for record in records.values()])
    return [Simulation(stamp, record, differs) for (stamp, record), differs in zip(records.items(), told)]


def parameters_of(run: RunDirectory, record: SimulationRecord) -> ByStage:
    """Return the parameters of a simulation, and those of the stages before as far as they are recorded."""
    made: Dict[str, Optional[Options]] = {
        "train": record.details.training,
        "parse": record.details.conversion,
        simulate.KIND.name: record.params,
    }
    return {stage: shown_params(run, params) for stage, params in made.items() if params is not None}
