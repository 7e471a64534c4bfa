"""The simulation of a point of a grid: the one that the run has, or a new one.

A new one must leave the training and the conversion of the run, and the options in force, as they are. It is marked as
swept, so that its options are not kept. The network of a point that is not the run's is trained, converted and
simulated in a scratch run inside the run, `.sweep`, with the data set of the run; the simulation, which is complete in
itself, is then moved into the run. An interrupted sweep keeps the scratch run: the next sweep continues there.
"""

import os
import shutil
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Callable, ContextManager, Dict, Optional, cast

from snnb.core.errors import InputError
from snnb.core.options import Options
from snnb.core.progress import Progress, Say
from snnb.io.files import remove, sync_tree
from snnb.pipeline import parse, simulate, train
from snnb.pipeline.plan import bring_up_to_date
from snnb.pipeline.simulations import SimulationRecord
from snnb.pipeline.stage import Given, figure_format, input_difference, stale_reason
from snnb.results.grid import Point
from snnb.rundir import manifest, replacing
from snnb.rundir.directory import RunDirectory
from snnb.rundir.manifest import AnyRecord

SCRATCH = ".sweep"
OWN = (train.KIND.name, parse.KIND.name)  # stages that a point can run with other options than the run
Bar = Callable[[str], ContextManager[Progress]]
Asked = Dict[str, Options]  # the parameters of a point by stage


def simulation_of(run: RunDirectory, point: Point) -> Optional[str]:
    """Return the stamp of the run's latest simulation with the options of a point; None without one."""
    asked = _asked(run, point)
    records = cast("Dict[str, SimulationRecord]", run.records_of(simulate.KIND.name))
    for stamp in run.by_precedence(simulate.KIND.name):
        record = records[stamp]
        made = [record.details.training, record.details.conversion, record.params]
        if all(_same(one, other) for one, other in zip(asked.values(), made)) and _is_usable(run, record, asked):
            return stamp
    return None


def simulate_point(run: RunDirectory, point: Point, stack: ExitStack, *, say: Say, bar: Bar) -> str:
    """Make the simulation of a point in a locked run and return its stamp; a cluster stays open in `stack`."""
    asked, name = _asked(run, point), simulate.KIND.name
    if all(_is_free(run, own, asked) for own in OWN):
        options = {**point.given.get(name, {}), "swept": run.in_force(name) is not None}
        return _simulated(run, {**point.given, name: options}, asked, stack, say, bar)
    # Every option is given, since the scratch run has recorded those of another point.
    given = {stage: {**point.given.get(stage, {}), **params.model_dump()} for stage, params in asked.items()}
    given["train"].setdefault("figures", figure_format(None, run.record_of("train"), "training_plot"))
    given[name]["swept"] = True
    scratch = _open_scratch(run)
    with scratch.locked():
        if run.record_of("train") is not None and _is_free(run, "train", asked):
            bring_up_to_date(run, "train", point.given, say=say, bar=bar)
            trained = run.record_of("train")
            if trained is not None and trained != scratch.record_of("train"):
                _adopt(scratch, "train", trained, run.path / run.directory_of("train"))
        stamp = _simulated(scratch, given, asked, stack, say, bar)
        source = scratch.path / scratch.directory_of(name, stamp)
        _adopt(run, name, scratch.records_of(name)[stamp], source, name=stamp, move=True)
    return stamp


def _asked(run: RunDirectory, point: Point) -> Asked:
    """Return the parameters of a point by stage, in order; an option that is not given has the value in force."""
    return {
        "train": train.resolve(run, point.given.get("train", {})),
        "parse": parse.resolve(run, point.given.get("parse", {})),
        "simulate": simulate.resolve(run, point.given.get("simulate", {})),
    }


def _is_free(run: RunDirectory, name: str, asked: Asked) -> bool:
    """Whether the run has no result of a stage, or one with the parameters of the point."""
    record = run.record_of(name)
    return record is None or _same(record.params, asked[name])


def _simulated(run: RunDirectory, given: Given, asked: Asked, stack: ExitStack, say: Say, bar: Bar) -> str:
    """Simulate and return the stamp; a cluster, if there is to be one, stays open for the next point."""
    from snnb.cluster.connect import connected

    bring_up_to_date(run, parse.KIND.name, given, say=say, bar=bar)
    params = cast("simulate.SimulateParams", asked[simulate.KIND.name])
    shared = params.workers, params.scheduler
    if shared != (1, None):
        stack.enter_context(connected(*shared))
    return bring_up_to_date(run, simulate.KIND.name, given, say=say, bar=bar)[-1].directory.name


def _same(one: Options, other: Optional[Options]) -> bool:
    return other is not None and one.model_dump(mode="json") == other.model_dump(mode="json")


def _is_usable(run: RunDirectory, record: SimulationRecord, asked: Asked) -> bool:
    """Whether a simulation is undamaged and was made of the present files of the run.

    If its network was trained or converted with other options than the run's present one, only the data set and the
    model's file are compared.
    """
    present = ["dataset/"]
    for name in OWN:
        now = run.record_of(name)
        if now is None or not _same(now.params, asked[name]):
            break
        if stale_reason(run, now, {}) is not None:
            return False
        present.append(f"{run.directory_of(name)}/")
    read = [file for file in record.inputs if file.path.startswith(tuple(present))]
    if any(input_difference(run, file) for file in (*read, *(record.details.sources or ()))):
        return False
    return all(run.hashes.matches(file) for file in record.outputs)


def _open_scratch(run: RunDirectory) -> RunDirectory:
    """Open or create the scratch run, whose data set is a link to that of the locked run."""
    path, dataset = run.path / SCRATCH, run.directory_of("prepare")
    link, target = path / dataset, os.path.join(os.pardir, dataset)  # noqa: PTH118 - a link's text
    existing: Optional[RunDirectory] = None
    if not path.is_symlink() and link.is_symlink() and os.readlink(link) == target:
        with suppress(InputError):
            existing = RunDirectory.open(path, run.kinds)
    if existing is None or existing.manifest.run.difference(run.manifest.run) is not None:
        remove(path)
        path.mkdir()
        link.symlink_to(target, target_is_directory=True)
        existing = None
    own = {run.kind(stage).key: None if existing is None else existing.record_of(stage) for stage in OWN}
    stages = run.manifest.stages.model_copy(update=own)
    manifest.save_manifest(run.manifest.model_copy(update={"stages": stages}), path / manifest.NAME)
    return RunDirectory.open(path, run.kinds)


def _adopt(
    run: RunDirectory, stage: str, record: AnyRecord, source: Path, *, name: Optional[str] = None, move: bool = False
) -> None:
    """Replace a result of a locked run by one of another run, copied or moved; after an error nothing has changed."""
    relative = run.directory_of(stage, name)
    place = run.path / relative
    replacing.refuse_foreign_files(run.path, relative, run.records())
    incomplete = place.with_name(replacing.INCOMPLETE + place.name)
    incomplete.parent.mkdir(parents=True, exist_ok=True)
    try:
        if move:
            shutil.move(str(source), str(incomplete))
        else:
            shutil.copytree(source, incomplete, copy_function=shutil.copyfile)
            sync_tree(incomplete)
        replacing.replace(incomplete, place)
        run.save_record(stage, name, record)
    finally:
        run.recover()
    run.hashes.save()
