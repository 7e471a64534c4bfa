"""The list of all stages, in order."""

from typing import Dict

from snnb.stages import graph, parse, prepare, simulate, train
from snnb.stages import map as mapping
from snnb.stages.stage import AnyStage

ALL_STAGES = (
    prepare.STAGE,
    train.STAGE,
    parse.STAGE,
    simulate.STAGE,
    graph.STAGE,
    mapping.STAGE,
)
STAGES: Dict[str, AnyStage] = {stage.name: stage for stage in ALL_STAGES}
# By stage: the stage before it, which it needs
BEFORE = dict(zip([*STAGES][1:], STAGES))
KINDS = ALL_STAGES
# Stages of a run that begins with an external graph
OF_GRAPH = (graph.STAGE.name, mapping.STAGE.name)
# Stages of `snnb run`
CHAIN = [name for name, stage in STAGES.items() if not stage.optional]
