"""The stages, in order: the one place where they are listed."""

from typing import Dict

from snnb.stages import graph, parse, prepare, simulate, train
from snnb.stages.stage import AnyStage

STAGES: Dict[str, AnyStage] = {
    stage.name: stage for stage in (prepare.STAGE, train.STAGE, parse.STAGE, simulate.STAGE, graph.STAGE)
}
KINDS = tuple(stage.kind for stage in STAGES.values())
