"""The list of all stages, in order."""

from typing import Dict

from snnb.stages import graph, parse, prepare, simulate, train
from snnb.stages import map as mapping
from snnb.stages.stage import AnyStage

STAGES: Dict[str, AnyStage] = {
    stage.name: stage for stage in (prepare.STAGE, train.STAGE, parse.STAGE, simulate.STAGE, graph.STAGE, mapping.STAGE)
}
BEFORE = dict(zip([*STAGES][1:], STAGES))  # by stage, the stage before it, which it needs
KINDS = tuple(stage.kind for stage in STAGES.values())
OF_GRAPH = (graph.STAGE.name, mapping.STAGE.name)  # stages of a run that begins with an external graph
CHAIN = [name for name, stage in STAGES.items() if not stage.optional]  # stages of `snnb run`
