"""`Run`: the stages as methods, for use in a Python program."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Optional, Tuple, Union

from typing_extensions import Unpack

from snnb.core.errors import UsageError
from snnb.core.options import validated
from snnb.core.progress import Say, say_nothing
from snnb.graph.export.export_options import ExportOptions
from snnb.pipeline.all import STAGES
from snnb.pipeline.open_run import open_or_create
from snnb.pipeline.plan import bring_up_to_date
from snnb.pipeline.stage import StageResult
from snnb.results.export import export_graph
from snnb.results.grid import axes_of
from snnb.results.remove import Removal, carry_out, plan_removal
from snnb.results.sweep import Swept, sweep
from snnb.results.verify import verification_of
from snnb.run_keywords import (
    ExportKeywords,
    GraphKeywords,
    MapKeywords,
    ParseKeywords,
    PrepareKeywords,
    SimulateKeywords,
    TrainKeywords,
)
from snnb.run_signatures import with_options_of
from snnb.rundir.directory import RunDirectory
from snnb.rundir.verification import Verification

if TYPE_CHECKING:
    from snnb.graph.export.write_export import Export


class Run:
    """A run directory whose stages are methods, each with the options of the command of its name.

    As on the command line, earlier stages run when they must, a stage that is up to date does not run again, and an
    option that is not given keeps its recorded value.

    Parameters
    ----------
    model : str, optional
        Name of a model; can be left out when `path` is a run.
    path : str or Path, optional
        The run directory; by default `$SNNB_RUNS/model` or `runs/model`.
    dataset : str, optional
        Name of a data set. A model of this package has a data set of its own; a model in your own file needs one.
    shape : tuple of int, optional
        Size of the pictures, (height, width, channels), for a model in your own file that takes any size.
    say : callable
        Called with messages such as why a stage runs.

    Examples
    --------
    >>> run = Run("cnn_mnist", path="runs/x")
    >>> run.train(epochs=5)
    >>> run.simulate(samples=100).record.metrics["snn_accuracy"]
    """

    def __init__(
        self,
        model: Optional[str] = None,
        path: Union[str, Path, None] = None,
        *,
        dataset: Optional[str] = None,
        shape: Optional[Tuple[int, int, int]] = None,
        say: Say = say_nothing,
    ) -> None:
        self.directory: RunDirectory = open_or_create(model, Path(path) if path is not None else None, dataset)
        self._say = say
        self._prepare: Dict[str, object] = {} if shape is None else {"shape": shape}

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.directory.path

    @with_options_of(STAGES["prepare"].kind.params, PrepareKeywords)
    def prepare(self, *, force: bool = False, **options: Unpack[PrepareKeywords]) -> StageResult:
        """Make a data set's files into arrays."""
        return self._stage("prepare", force, options)

    @with_options_of(STAGES["train"].kind.params, TrainKeywords)
    def train(self, *, force: bool = False, **options: Unpack[TrainKeywords]) -> StageResult:
        """Train the Keras network."""
        return self._stage("train", force, options)

    @with_options_of(STAGES["parse"].kind.params, ParseKeywords)
    def parse(self, *, force: bool = False, **options: Unpack[ParseKeywords]) -> StageResult:
        """Convert and normalise the trained network."""
        return self._stage("parse", force, options)

    @with_options_of(STAGES["simulate"].kind.params, SimulateKeywords)
    def simulate(self, *, force: bool = False, **options: Unpack[SimulateKeywords]) -> StageResult:
        """Simulate the converted network; always a new simulation."""
        return self._stage("simulate", force, options)

    @with_options_of(STAGES["graph"].kind.params, GraphKeywords)
    def graph(self, *, force: bool = False, **options: Unpack[GraphKeywords]) -> StageResult:
        """Write the synapse graph."""
        return self._stage("graph", force, options)

    @with_options_of(STAGES["map"].kind.params, MapKeywords)
    def map(self, *, force: bool = False, **options: Unpack[MapKeywords]) -> StageResult:
        """Map the graph onto the cores of a chip, as in `run.map(hardware="loihi")`.

        `snnb.mapping.mapping.Mapping.open(result.directory)` reads the result.
        """
        return self._stage("map", force, options)

    @with_options_of(ExportOptions, ExportKeywords)
    def export(
        self,
        format: str,
        output: Union[str, Path, None] = None,
        *,
        graph: Optional[str] = None,
        force: bool = False,
        **options: Unpack[ExportKeywords],
    ) -> "Export":
        """Write the graph in another program's format."""
        return export_graph(
            self.directory,
            format,
            validated(ExportOptions, options),
            output=Path(output) if output is not None else None,
            graph=graph,
            force=force,
            say=self._say,
        )

    def sweep(
        self,
        grid: Mapping[str, Iterable[object]],
        *,
        train: Optional[TrainKeywords] = None,
        parse: Optional[ParseKeywords] = None,
        simulate: Optional[SimulateKeywords] = None,
    ) -> List[Swept]:
        """Make a simulation for each point of a grid of options, as in `run.sweep({"percentile": [99, 99.9]})`.

        What the run has already is not made again. The rows are in `sweep.csv` of the run, a figure in `sweep.png`.

        Parameters
        ----------
        grid : mapping of str to iterable
            Options of train, parse or simulate and their values. An option that several of them have is that of the
            last, unless the stage stands before it, as in `"train.seed"`.
        train, parse, simulate : dict, optional
            Options that are the same for all points, as keywords of the methods of these names.

        Returns
        -------
        list of Swept
            In the order of the grid, the last option first to change.
        """
        given = {"prepare": self._prepare, "train": train or {}, "parse": parse or {}, "simulate": simulate or {}}
        for name, options in {"grid": grid, **given}.items():
            if not isinstance(options, Mapping):
                raise UsageError(f"sweep: {name} is a {type(options).__name__}; give a dict of options")
        axes = axes_of(grid.items(), given)
        with self.directory.locked(say=self._say):
            return sweep(self.directory, axes, given, say=self._say)

    def remove(self, *names: str, with_dependents: bool = False) -> Removal:
        """Take simulations, graphs or mappings out of the run: by stamp, or as `graphs/<stamp>`."""
        planned = plan_removal(self.directory, names, with_dependents=with_dependents)
        carry_out(self.directory, planned, say=self._say)
        return planned

    def report(
        self, output: Union[str, Path, None] = None, *, simulation: Optional[str] = None, force: bool = False
    ) -> Path:
        """Write one HTML page about the run, by default `report.html` in it; return its path."""
        from snnb.results.report import write_report

        target = Path(output) if output is not None else None
        return write_report(self.directory, simulation=simulation, output=target, force=force)

    def verify(self) -> Verification:
        """Hash everything that the manifest records again, and note which results are not up to date."""
        return verification_of(self.directory)

    def _stage(self, name: str, force: bool, options: Any) -> StageResult:
        given = {"prepare": self._prepare, name: {**self._prepare, **options} if name == "prepare" else options}
        with self.directory.locked(say=self._say):
            return bring_up_to_date(self.directory, name, given, force=force, say=self._say)[-1].result
