"""The costs of a mapping's recorded samples in `cost.json`, against those that SANA-FE finds."""

from typing import Dict, List, Optional, Tuple

import numpy as np

from snnb.core.errors import VerificationError
from snnb.core.progress import Say
from snnb.crosscheck.sanafe_chip import ChipTrace
from snnb.io.document import Document
from snnb.mapping.time_costs import RecordedSteps

ROUNDING = 1e-9  # relative
# Parts of the energy: events of a description, and components of SANA-FE, which has no energy of routers
PARTS: Dict[str, Tuple[Tuple[str, ...], Tuple[str, ...]]] = {
    "synapses": (("synapse",), ("synapse", "dendrite")),
    "neurons": (("neuron_inactive", "neuron_active", "spike"), ("soma",)),
    "axons and links": (("axon_out", "axon_in", "link_x", "link_y", "between_chips"), ("network",)),
    "routers": (("router",), ()),
}


class ChipFigure(Document):
    """A figure of the recorded samples; `sanafe` is None where SANA-FE has none."""

    name: str
    unit: str
    cost: float
    sanafe: Optional[float]
    differing: bool


class ChipCheck(Document):
    """Costs of the recorded samples in `cost.json` and in SANA-FE."""

    mapping: str  # stamp
    hardware: str
    figures: List[ChipFigure]  # energies of a sample, and the mean time of a step
    steps: int  # number of time steps of all recorded samples
    differing_steps: int  # number of steps whose times differ
    detailed_ns: float  # mean time of a step in SANA-FE's model `detailed`


def compare_costs(stamp: str, hardware: str, recorded: RecordedSteps, trace: ChipTrace) -> ChipCheck:
    """Compare energies and times of the recorded samples."""
    figures: List[ChipFigure] = []
    for name, (events, components) in PARTS.items():
        cost = sum(recorded.energy_by_event_pj.get(event, 0.0) for event in events)
        found = float(np.mean([sum(of[component] for component in components) for of in trace.energy_pj]))
        differs = bool(components) and not np.isclose(cost, found, rtol=ROUNDING, atol=0)
        sanafe = found if components else None
        figures.append(ChipFigure(name=name, unit="pJ", cost=cost, sanafe=sanafe, differing=bool(differs)))
    here, there, differing = np.array(recorded.step_ns or [], float), np.array(trace.step_ns), 0
    if here.size:
        differing = int(np.count_nonzero(~np.isclose(here, there, rtol=ROUNDING, atol=0)))
        means = {"cost": float(here.mean()), "sanafe": float(there.mean())}
        figures.append(ChipFigure(name="mean step", unit="ns", **means, differing=differing > 0))
    return ChipCheck(
        mapping=stamp,
        hardware=hardware,
        figures=figures,
        steps=there.size,
        differing_steps=differing,
        detailed_ns=float(np.mean(trace.detailed_ns)),
    )


def refuse_differences(check: ChipCheck, recorded: RecordedSteps, spikes_differ: bool, say: Say) -> None:
    """Say why costs differ; raise `VerificationError` where nothing explains it."""
    differing = [figure for figure in check.figures if figure.differing]
    if not differing:
        return
    names = ", ".join(figure.name for figure in differing)
    if spikes_differ:
        say(f"crosscheck: {names} differ, since spikes do")
    elif recorded.energy_by_event_pj.get("between_chips") and all(
        figure.name == "axons and links" for figure in differing
    ):
        say("crosscheck: axons and links differ: SANA-FE gives links between chips the energy of all others")
    else:
        raise VerificationError(
            f"{names} of mapping {check.mapping} differ in SANA-FE, where all spikes are equal; please report it"
        )
