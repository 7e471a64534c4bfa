"""`sweep`: a simulation for each point of a grid of options.

A point is simulated in the run if its training and conversion have the parameters that
they have in the run. All other points are simulated in one separate run,
`sweep/points`, which has a copy of the data set. Its training and its conversion are
those of the latest point; the training and conversion of every point are kept in a run
without a data set, such as `sweep/percentile=99.0`. Results that are up to date are not
computed again, so an interrupted sweep continues.

The options of a stage are those of the sweep. If it has none, training and conversion
have those of the results of the run, and a simulation has the defaults.
"""

import re
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import (
    Callable,
    ContextManager,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    cast,
)

from snnb.chips.hardware import LayerHardware
from snnb.chips.read_hardware import label_of_chip, read_hardware
from snnb.cluster.connect import connected
from snnb.core.errors import InputError, UsageError, advising
from snnb.core.progress import Progress, Say, say_nothing
from snnb.core.quantities import quantities_of, values
from snnb.io.atomic import atomic_path
from snnb.io.files import refuse_foreign
from snnb.io.text import Document, JsonValue, read_document
from snnb.results.compare import in_words
from snnb.results.grid import GRID_STAGES, Axis, Point, points_of
from snnb.results.sweep_table import (
    MARKS,
    POINTS_FILE,
    TABLE,
    ChipCost,
    SweepPoint,
    SweepPoints,
    write_points,
    write_table,
)
from snnb.rundir.directory import RunDirectory
from snnb.simulation.statistics import ACCURACIES, SimulationStatistics
from snnb.stages import parse, simulate, train
from snnb.stages.all import STAGES
from snnb.stages.command_options import CommandOptions
from snnb.stages.run_stages import (
    FIGURES_UNCHANGED,
    OTHER_VERSIONS,
    bring_up_to_date,
    check_command,
    no_bar,
)
from snnb.stages.simulate import SimulateParams
from snnb.stages.stage import Given, StageResult
from snnb.stages.states import UP_TO_DATE

FIGURE = "sweep.png"
FOLDER = "sweep"
POINTS = "points"  # run in `FOLDER` with the simulations
NETWORK = (
    train.STAGE.name,
    parse.STAGE.name,
)  # stages that make the network of a point
TRAINING = ("prepare", train.STAGE.name)
DEFAULTS = (simulate.STAGE.name,)  # stages that do not take options of earlier results
Bar = Callable[..., ContextManager[Progress]]


class Sweep(Document):
    """Output of `snnb sweep --json`."""

    run_dir: Path
    table: Path
    figure: Path
    points: List[SweepPoint]


def sweep(
    run: RunDirectory,
    axes: Sequence[Axis],
    options_given: Given,
    *,
    say: Say = say_nothing,
    bar: Bar = no_bar,
) -> List[SweepPoint]:
    """Make the simulations of a grid that the run does not have yet.

    `sweep.json`, `sweep.csv` and `sweep.png` are written into the run.

    An interrupted sweep continues: a simulation of the present data set and training
    that has the options of a point is used for it. The files have all completed
    points.

    The run is locked. `options_given` are options by stage that are the same for all
    points. The points are returned in the order of the grid; the last axis changes fastest.
    """
    if run.manifest.run.imported:
        raise UsageError(
            f"{run.path} contains an external graph, but a sweep simulates a network; "
            "map the graph onto each chip with `snnb map`, and list the mappings with "
            "`snnb compare`"
        )
    points = points_of(axes, options_given)
    for name, mark in MARKS.items():
        refuse_foreign(run.path / name, mark=mark)
    if not (run.path / TABLE).exists():
        refuse_foreign(run.path / FIGURE)
    for point in points:
        check_command(run, simulate.STAGE.name, point.given, DEFAULTS)
    say_news = _news(say, UP_TO_DATE, OTHER_VERSIONS, FIGURES_UNCHANGED)
    preparation = {"prepare": options_given.get("prepare", {})}
    bring_up_to_date(run, "prepare", preparation, say=_news(say, UP_TO_DATE), bar=bar)
    common_params = _params_of(run, points)
    done: List[SweepPoint] = []
    with ExitStack() as stack:
        if (common_params.workers, common_params.scheduler) != (1, None):
            stack.enter_context(
                connected(common_params.workers, common_params.scheduler)
            )
        for number, point in enumerate(points, 1):
            say(
                f"sweep: {number} of {len(points)}: "
                f"{in_words(cast('Dict[str, JsonValue]', point.values))}"
            )
            home, result = _simulate_point(run, point, axes, say=say_news, bar=bar)
            stamp = result.directory.name
            chip = (
                None
                if point.hardware is None
                else _chip_cost(home, stamp, point.hardware, say, bar)
            )
            done.append(
                SweepPoint(
                    values=point.values,
                    ran=result.reason is not None,
                    run=home.path.relative_to(run.path).as_posix(),
                    simulation=stamp,
                    summary=result.record.details.summary,
                    chip=chip,
                )
            )
            write_points(run.path / POINTS_FILE, done)
            write_table(run.path / TABLE, [axis.title for axis in axes], done)
    _draw(run, axes, done)
    return done


def _params_of(run: RunDirectory, points: Sequence[Point]) -> SimulateParams:
    """Return the parameters of the last point; outside the grid they are those of all."""
    for point in points:
        options = _options_of(run, point.given)
        params = simulate.STAGE.resolve(run, options[simulate.STAGE.name])
    return params


def points_of_sweep(run: RunDirectory) -> List[SweepPoint]:
    """Return the points of the last sweep whose simulations exist; none without a sweep."""
    path = run.path / POINTS_FILE
    if not path.exists():
        return []
    with advising("remove it; the sweep writes it again"):
        points = read_document(SweepPoints, path).sweep_points
    stamps = {".": run.records_of(simulate.STAGE.name).keys()}
    for home in _runs_of_sweep(run):
        stamps[home.path.relative_to(run.path).as_posix()] = home.records_of(
            simulate.STAGE.name
        ).keys()
    return [point for point in points if point.simulation in stamps.get(point.run, ())]


def _news(say: Say, *left_out: str) -> Say:
    """Return a function that passes on all messages except those that contain one of the texts `left_out`."""

    def say_news(message: str) -> None:
        if not any(text in message for text in left_out):
            say(message)

    return say_news


def _simulate_point(
    run: RunDirectory, point: Point, axes: Sequence[Axis], *, say: Say, bar: Bar
) -> Tuple[RunDirectory, StageResult]:
    """Bring the simulation of a point up to date; return it and the run that it is in."""
    options = _options_of(run, point.given)
    params = _network_params(run, options)
    params_of_run = _network_params(run, _options_of(run, {}))
    if params == params_of_run:
        results = bring_up_to_date(
            run,
            simulate.STAGE.name,
            point.given,
            asked_by_name=False,
            defaults=DEFAULTS,
            say=say,
            bar=bar,
        )
        return run, results[-1]
    with ExitStack() as stack:
        home = _run_of_sweep(run, POINTS)
        kept_run = _run_of_sweep(run, _network_folder(point, axes))
        for source_run in (home, kept_run):
            stack.enter_context(source_run.locked(say=say))
        home.take("prepare", run)
        if params[train.STAGE.name] == params_of_run[train.STAGE.name]:
            training = {name: point.given.get(name, {}) for name in TRAINING}
            bring_up_to_date(run, train.STAGE.name, training, say=say, bar=bar)
        trained_run = _trained_run(
            [run, kept_run, *_runs_of_sweep(run)], params[train.STAGE.name]
        )
        if trained_run is not None:
            home.take(train.STAGE.name, trained_run)
        if kept_run.record_of(parse.STAGE.name) is not None:
            home.take(parse.STAGE.name, kept_run)
        bring_up_to_date(
            home, parse.STAGE.name, options, defaults=STAGES, say=say, bar=bar
        )
        for name in NETWORK:
            kept_run.take(name, home)
        results = bring_up_to_date(
            home,
            simulate.STAGE.name,
            options,
            asked_by_name=False,
            defaults=STAGES,
            say=say,
            bar=bar,
        )
        return home, results[-1]


def _options_of(run: RunDirectory, options_given: Given) -> Given:
    """Return the options of a point by stage, those of the results of the run included."""
    options = CommandOptions.of(run, options_given, DEFAULTS).by_stage()
    return {name: options[name] for name in ("prepare", *GRID_STAGES)}


def _network_params(
    run: RunDirectory, options: Given
) -> Dict[str, Mapping[str, object]]:
    """Return the parameters of the stages that make the network, by stage."""
    return {
        name: STAGES[name].resolve(run, options[name]).model_dump() for name in NETWORK
    }


def _network_folder(point: Point, axes: Sequence[Axis]) -> str:
    """Return the name of the folder in `FOLDER` that keeps the training and the conversion of a point."""
    values = (
        f"{axis.title}={point.values[axis.title]}"
        for axis in axes
        if axis.stage in NETWORK
    )
    return (
        re.sub(r"[^\w.,=-]", "_", ",".join(values), flags=re.ASCII)[:200] or "network"
    )


def _trained_run(
    runs: Iterable[RunDirectory], params: Mapping[str, object]
) -> Optional[RunDirectory]:
    """Return the first run with a training that has these parameters."""
    for run in runs:
        record = run.record_of(train.STAGE.name)
        if record is not None and record.params.model_dump() == params:
            return run
    return None


def _run_of_sweep(run: RunDirectory, folder: str) -> RunDirectory:
    """Return the run in a folder of the sweep; it is created if it does not exist."""
    return RunDirectory.create(run.path / FOLDER / folder, run.manifest.run, run.kinds)


def _runs_of_sweep(run: RunDirectory) -> Iterator[RunDirectory]:
    """Yield the runs in the folder of the sweep."""
    for path in sorted((run.path / FOLDER).glob("*")):
        with suppress(InputError):  # not a run, or damaged
            yield RunDirectory.open(path, run.kinds)


def _chip_cost(
    run: RunDirectory, stamp: str, hardware: str, say: Say, bar: Bar
) -> ChipCost:
    """Map a simulation onto hardware, a name or file of a description, and return its cost; the mapping is not kept."""
    from snnb.graph.build import build_graph
    from snnb.mapping.layers.assignment import assign_layers
    from snnb.mapping.map_graph import map_graph
    from snnb.network.read_network import read_network
    from snnb.network.spike_counts import SUMS, SpikeCounts

    folder = run.path / run.directory_of(simulate.STAGE.name, stamp)
    parsed_path = folder / run.parsed_name
    coding = read_document(SimulationStatistics, folder / ACCURACIES).coding
    chip = read_hardware(hardware)
    name = label_of_chip(chip.name, hardware)
    network = read_network(parsed_path)
    if isinstance(chip, LayerHardware):
        assignment = assign_layers(network, chip)
        if assignment.reason is not None:
            say(f"sweep: {assignment.reason}")
            return ChipCost(chip=name, note=assignment.reason)
        return ChipCost(chip=name, cores=len(set(assignment.core)), chips=1)
    counts = SpikeCounts.read(folder / SUMS, network.volume_names, coding)
    with build_graph(network, counts) as graph:
        try:
            with bar("map") as progress:
                cost = map_graph(graph, chip, progress=progress).cost
        except InputError as error:
            say(f"sweep: {error}")
            return ChipCost(chip=name, note=str(error))
    quantities = {
        key: value
        for key, value in values(cost).items()
        if key in quantities_of(ChipCost)
    }
    return ChipCost(chip=name, **{"chips": 1, **quantities})


def _draw(
    run: RunDirectory, axes: Sequence[Axis], points: Sequence[SweepPoint]
) -> None:
    from snnb.io.figures import save
    from snnb.results.sweep_figures import plot_points

    figure = plot_points(points, [axis.title for axis in axes])
    assert figure is not None  # the grid is complete
    with atomic_path(run.path / FIGURE, force=True) as temporary:
        save(figure, temporary)
