"""`Run`: the Python interface; each stage is a method."""

import warnings
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    Iterable,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from typing_extensions import Unpack

from snnb.core.errors import UsageError
from snnb.core.formatting import local_time
from snnb.core.options import (
    documented,
    validated,
)
from snnb.core.progress import Say, say_nothing
from snnb.formats.export_options import ExportOptions
from snnb.io.text import html_table
from snnb.results.compare import Compared, compare
from snnb.results.export import export_graph
from snnb.results.grid import axes_of
from snnb.results.remove import Removal, carry_out, plan_removal
from snnb.results.sweep import sweep
from snnb.results.sweep_table import SweepPoint
from snnb.results.verify import Verification, verify_run
from snnb.run_keywords import (
    ExportKeywords,
    GraphKeywords,
    MapKeywords,
    ParseKeywords,
    PrepareKeywords,
    SimulateKeywords,
    TrainKeywords,
)
from snnb.rundir.directory import RunDirectory
from snnb.rundir.manifest import records
from snnb.stages.all import STAGES
from snnb.stages.command_options import read_options
from snnb.stages.graph import GraphParams, import_arrays, imported_name
from snnb.stages.open_run import create_run, open_or_create, open_run
from snnb.stages.run_stages import bring_up_to_date
from snnb.stages.stage import StageResult, key_figures, result_of

if TYPE_CHECKING:
    import networkx
    from numpy.typing import ArrayLike
    from scipy.sparse import spmatrix

    from snnb.formats.arrays import Populations
    from snnb.formats.write_export import Export
    from snnb.io.figures import Figure


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=2)


class Run:
    """A run directory. Each stage is a method that takes the options of the command of the same name.

    As on the command line, earlier stages run first if necessary, and a stage that is
    up to date does not run again. Options hold for one call: an option that is not
    given has its default. A stage that is called without options keeps its result, or
    makes it again with the options that were given for it; `defaults=True` makes it
    with the defaults. `simulate` and `map` always take the defaults.

    Parameters
    ----------
    model : str, optional
        Name of a model; can be omitted if `path` is a run.
    path : str or Path, optional
        The run directory, and the attribute of this name; by default `$SNNB_RUNS/model`
        or `runs/model`.
    dataset : str, optional
        Name of a data set; required for a custom model.
    shape : tuple of int, optional
        Size of the pictures, (height, width, channels), for a custom model of variable
        input size.
    say : callable
        Called with messages such as why a stage runs. By default messages are
        discarded, except that waiting for another process is a warning.

    Examples
    --------
    >>> run = Run("cnn_mnist", path="runs/x")
    >>> run.train(epochs=5)
    >>> run.simulate(samples=100).metrics["snn_accuracy"]
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
        self._say = say
        self._say_waiting: Say = _warn if say is say_nothing else say
        run_dir = Path(path) if path is not None else None
        self.path: Path = open_or_create(
            model,
            run_dir,
            dataset,
            say=self._say_waiting,
        ).path
        self._shape: Dict[str, object] = {} if shape is None else {"shape": shape}

    @classmethod
    def from_graph(
        cls,
        graph: "Union[str, Path, spmatrix, networkx.DiGraph, None]" = None,
        path: Union[str, Path, None] = None,
        *,
        source: "Optional[ArrayLike]" = None,
        target: "Optional[ArrayLike]" = None,
        weight: "Optional[ArrayLike]" = None,
        spikes: "Optional[ArrayLike]" = None,
        rates: Union[str, Path, Sequence[Union[str, Path]], None] = None,
        populations: "Optional[Populations]" = None,
        inputs: int = 0,
        samples: Optional[int] = None,
        steps: Optional[int] = None,
        force: bool = False,
        say: Say = say_nothing,
    ) -> "Run":
        """Return a run that begins with an external graph instead of a model; `map` and `export` work on it.

        Parameters
        ----------
        graph : str, Path, sparse matrix or networkx.DiGraph, optional
            A file that `snnb graph --from` reads, or `instance:NAME`; or a matrix of
            scipy whose rows are the sources; or a directed graph whose edges have the
            attribute `weight` (by default 1), and nodes `spikes` (all or none). Nodes
            that are the integers 0 to n - 1 are ids; others are names, with ids in
            their natural order.
        path : str or Path, optional
            The run directory; by default `runs/NAME` for the name of a file. Its graph
            is replaced if both graphs come from the same file or from arrays, or with
            `force`.
        source, target : (edges,) array of int
            Instead of `graph`: ids of neurons, from 0. Parallel edges are one synapse
            with the sum of their weights.
        weight : (edges,) array, optional
            By default 1.
        spikes : (neurons,) array, optional
            Number of spikes of each neuron over all samples and steps. By default one
            spike per neuron is assumed, and results say so.
        rates : str, Path or sequence of them, optional
            One or several files with spike counts, for a graph in a file; the counts
            are summed. `FILE:POPULATION` selects a population of a SONATA report.
        populations : mapping of str to int or tuple of int, optional
            Names and sizes or shapes, in the order of the ids, of a graph that is not a
            file. By default all neurons are one population.
        inputs : int
            The first `inputs` populations are inputs, which are not placed on cores.
        samples, steps : int, optional
            Number of samples, and of time steps per sample, in which the spikes were
            counted. By default as the file states, or 1.
        force : bool
            Replace a graph of another origin, and read the file again.
        say : callable
            As for `Run`.

        Raises
        ------
        UsageError, InputError
            The arrays or the file are not valid.

        Examples -------- >>> run = Run.from_graph(source=[0, 1, 2], target=[1, 2, 0],
        spikes=[5, 5, 4], path="runs/ring") >>>
        run.map(hardware="loihi").metrics["energy_pj"]
        """
        array_arguments = (source, target, weight, spikes, populations, inputs or None)
        if isinstance(graph, (str, Path)):
            if any(argument is not None for argument in array_arguments):
                raise UsageError(
                    "from_graph: a file has its own edges; give only rates, samples "
                    "and steps with it",
                )
            run_dir = None if path is None else Path(path)
            directory = open_or_create(
                None,
                run_dir,
                graph=Path(graph),
                say=_warn if say is say_nothing else say,
            )
            run = cls(path=directory.path, say=say)
            run.graph(
                force=force,
                from_file=graph,
                rates=rates,
                rate_samples=samples,
                rate_steps=steps,
            )
            return run
        from snnb.formats.arrays import EdgeArrays, arrays_of, listed

        if path is None:
            raise UsageError("from_graph: give path, the run directory")
        if rates is not None:
            raise UsageError("from_graph: rates is for a graph in a file; give spikes")
        if graph is not None and any(
            argument is not None for argument in (source, target, weight)
        ):
            raise UsageError(
                "from_graph: a graph has its own edges; omit source, target and weight",
            )
        if graph is not None:
            edges = arrays_of(graph)
            if spikes is not None and edges.names is not None:
                raise UsageError(
                    "from_graph: spikes has no names, and the nodes of the graph "
                    "have; make it an attribute: networkx.set_node_attributes(graph, "
                    "{node: count, ...}, 'spikes')",
                )
            edges = edges if spikes is None else edges._replace(spikes=spikes)
        elif source is None or target is None:
            raise UsageError("from_graph: give a graph, or source and target")
        else:
            edges = EdgeArrays(source, target, weight, spikes)
        listed_graph, sha256 = listed(edges, populations, inputs)
        params = validated(GraphParams, {"rate_samples": samples, "rate_steps": steps})
        name = imported_name(Path(path))
        directory = create_run(
            name,
            Path(path),
            is_imported=True,
            say=_warn if say is say_nothing else say,
        )
        run = cls(path=directory.path, say=say)
        with directory.locked(say=run._say_waiting):
            import_arrays(directory, listed_graph, sha256, params, force=force)
        return run

    def __repr__(self) -> str:
        kinds = {
            "simulation": self.simulations,
            "graph": self.graphs,
            "mapping": self.mappings,
        }
        counts = [
            f"{len(kind_records)} {name}{'' if len(kind_records) == 1 else 's'}"
            for name, kind_records in kinds.items()
        ]
        return f"<Run {self.directory.model}: {self.path}, {', '.join(counts)}>"

    def _repr_html_(self) -> str:
        run = self.directory
        rows = [
            (
                place,
                local_time(record.timing.started_utc),
                ", ".join(key_figures(kind, record)),
            )
            for kind in run.kinds
            for place, record in records(run.manifest, [kind]).items()
        ]
        return html_table(repr(self)[1:-1], rows, ("result", "made", ""))

    @property
    def directory(self) -> RunDirectory:
        """The run directory with its current manifest, since other processes and objects may have added results."""
        return open_run(self.path)

    @property
    def simulations(self) -> Dict[str, StageResult]:
        """All simulations by stamp, oldest first, as `simulate` returns them."""
        return self._results("simulate")

    @property
    def graphs(self) -> Dict[str, StageResult]:
        """All graphs by the stamp of their simulation, or "weights", as `graph` returns them."""
        return self._results("graph")

    @property
    def mappings(self) -> Dict[str, StageResult]:
        """All mappings by stamp, oldest first, as `map` returns them."""
        return self._results("map")

    def _results(self, stage: str) -> Dict[str, StageResult]:
        run = self.directory
        return {name: result_of(run, stage, name) for name in run.records_of(stage)}

    @documented(STAGES["prepare"].params, PrepareKeywords)
    def prepare(
        self,
        *,
        force: bool = False,
        defaults: bool = False,
        **options: Unpack[PrepareKeywords],
    ) -> StageResult:
        """Convert a data set to arrays."""
        return self._stage("prepare", force, defaults, options)

    @documented(STAGES["train"].params, TrainKeywords)
    def train(
        self,
        *,
        force: bool = False,
        defaults: bool = False,
        **options: Unpack[TrainKeywords],
    ) -> StageResult:
        """Train the Keras network."""
        return self._stage("train", force, defaults, options)

    @documented(STAGES["parse"].params, ParseKeywords)
    def parse(
        self,
        *,
        force: bool = False,
        defaults: bool = False,
        **options: Unpack[ParseKeywords],
    ) -> StageResult:
        """Convert and normalise the trained network."""
        return self._stage("parse", force, defaults, options)

    @documented(STAGES["simulate"].params, SimulateKeywords)
    def simulate(
        self,
        *,
        force: bool = False,
        defaults: bool = False,
        **options: Unpack[SimulateKeywords],
    ) -> StageResult:
        """Simulate the converted network; makes a new simulation."""
        return self._stage("simulate", force, defaults, options)

    @documented(STAGES["graph"].params, GraphKeywords)
    def graph(
        self,
        *,
        force: bool = False,
        defaults: bool = False,
        **options: Unpack[GraphKeywords],
    ) -> StageResult:
        """Write the synapse graph."""
        return self._stage("graph", force, defaults, options)

    @documented(STAGES["map"].params, MapKeywords)
    def map(
        self,
        *,
        force: bool = False,
        defaults: bool = False,
        **options: Unpack[MapKeywords],
    ) -> StageResult:
        """Map the graph onto the cores of a chip: `run.map(hardware="loihi")`.

        `snnb.mapping.files.Mapping.open(result.directory)` reads the result.
        """
        return self._stage("map", force, defaults, options)

    @documented(ExportOptions, ExportKeywords)
    def export(
        self,
        format: str,
        output: Union[str, Path, None] = None,
        *,
        graph: Optional[str] = None,
        force: bool = False,
        **options: Unpack[ExportKeywords],
    ) -> "Export":
        """Write the graph in the format of another program.

        Parameters
        ----------
        format : str
            Name of the format, as in docs/exports.md.
        output : str or Path, optional
            File or directory to write. Default: in `exports/` of the run.
        graph : str, optional
            Stamp of the graph, or "weights". Default: the graph of the current
            simulation, made if missing.
        force : bool, optional
            Replace an existing file, or a directory that an export made.
        **options
            Options of the format; see `snnb export`.

        Raises
        ------
        UsageError
            The format does not take an option, or the output exists.
        """
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
    ) -> List[SweepPoint]:
        """Simulate each point of a grid of options: `run.sweep({"percentile": [99, 99.9]})`.

        Simulations that the run already has are used. Writes `sweep.json`,
        `sweep.csv` and `sweep.png` in the run directory.

        Parameters
        ----------
        grid : mapping of str to iterable
            Options of train, parse or simulate and their values. An option of several
            stages applies to the last one, unless the stage precedes its name:
            `"train.seed"`. `"hardware"` maps each simulation onto each chip.
        train, parse, simulate : dict, optional
            Options that are equal for all points.

        Returns
        -------
        list of SweepPoint
            In the order of the grid; the last option changes fastest.
        """
        directory = self.directory
        options_given = {
            "prepare": self._shape_option(directory),
            "train": train or {},
            "parse": parse or {},
            "simulate": simulate or {},
        }
        fixed = read_options(options_given)
        axes = axes_of(grid.items(), fixed)
        with directory.locked(say=self._say_waiting):
            return sweep(directory, axes, fixed, say=self._say)

    def remove(self, *names: str, with_dependents: bool = False) -> Removal:
        """Remove simulations, graphs or mappings from the run.

        Parameters
        ----------
        *names : str
            Stamps, or directories such as `graphs/<stamp>`.
        with_dependents : bool
            Whether results made from them are removed too.
        """
        directory = self.directory
        removal = plan_removal(directory, names, with_dependents=with_dependents)
        carry_out(directory, removal, say=self._say_waiting)
        return removal

    def compare(self, *others: "Union[Run, str, Path]") -> List[Compared]:
        """Return accuracies, rates, operations and mappings of the simulations, as shown by `snnb compare`.

        Parameters
        ----------
        *others : Run, str or Path
            Further runs, or single simulations of runs as `RUN:STAMP`.

        Returns
        -------
        list of Compared
            Simulations of this run first, oldest first; `differs` has the options that
            are not equal in all of them.
        """
        places = [
            str(compared_run.path if isinstance(compared_run, Run) else compared_run)
            for compared_run in (self, *others)
        ]
        return compare(places)

    def plot(self, name: str, result: Optional[str] = None) -> "Figure":
        """Return a figure of a result, as saved by its stage.

        Parameters
        ----------
        name : str
            One of "training", "accuracy", "rates", "raster", "mapping", "traffic",
            "events" and "layers".
            `accuracy` is the error of a network that reproduces its input; `raster`
            needs recorded spikes.
        result : str, optional
            Stamp of the simulation or mapping; by default the current one.

        Returns
        -------
        matplotlib.figure.Figure
            A notebook shows it; `figure.savefig(path)` writes it.

        Raises
        ------
        UsageError, UpstreamError, InputError
            There is no such figure or result, or the result lacks the data for it.

        Examples
        --------
        >>> run.plot("accuracy").savefig("accuracy.pdf")
        """
        from snnb.results.plot import plot

        return plot(self.directory, name, result)

    def report(
        self,
        output: Union[str, Path, None] = None,
        *,
        simulation: Optional[str] = None,
        force: bool = False,
    ) -> Path:
        """Write an HTML page about the run and return its path.

        Parameters
        ----------
        output : str or Path, optional
            By default `report.html` in the run directory.
        simulation : str, optional
            Stamp of a simulation; by default the current one.
        force : bool
            Whether to replace a file at `output`.
        """
        from snnb.report.write_report import write_report

        target = Path(output) if output is not None else None
        return write_report(
            self.directory,
            simulation=simulation,
            output=target,
            force=force,
            say=self._say,
        )

    def verify(self) -> Verification:
        """Compare all files with their recorded hashes, and list the results that are not up to date."""
        return verify_run(self.directory)

    def _shape_option(self, directory: RunDirectory) -> Dict[str, object]:
        """Return the given size of the pictures, if they are not prepared with it."""
        record = directory.record_of("prepare")
        if record is not None and record.params.shape == self._shape.get("shape"):
            return {}
        return self._shape

    def _stage(
        self,
        name: str,
        force: bool,
        defaults: bool,
        options: Any,
    ) -> StageResult:
        directory = self.directory
        shape = self._shape_option(directory)
        options_given = {"prepare": shape, name: options}
        if name == "prepare" and options:
            options_given = {name: {**self._shape, **options}}
        typed_options = read_options(options_given)
        with directory.locked(say=self._say_waiting):
            return bring_up_to_date(
                directory,
                name,
                typed_options,
                force=force,
                defaults=[name] if defaults else [],
                say=self._say,
            )[-1]
