"""Definition of a stage, its parameters, and the rules by which its result is up to date.

A parameter has the value of its option, else its default, which is computed from the
run as it is now (`Stage.resolve`). The options are those of the command, or those
recorded with the result (`command_options.py`).

A result is up to date (`stale_reason`) if its recorded parameters are those of the
stage now, and its inputs and outputs have the recorded hashes. Options that do not
change a result are not recorded. An input outside the run counts only if it exists on
this machine.

Other package versions are reported, and make nothing stale. `simulate` always makes a
new result if it is requested by name (`Stage.always_new`). Of a stage with several
results (simulate, graph, map), `Stage.select` takes the latest that is up to date.
"""

from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import (
    Any,
    ClassVar,
    Collection,
    Dict,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    cast,
)

from snnb.core.errors import DamagedError, SnnbError, UsageError
from snnb.core.options import changes_result, over_defaults, validated
from snnb.core.progress import Progress, Say, silent
from snnb.core.quantities import Key, Value, rows
from snnb.io.text import JsonValue, html_table
from snnb.plots.figure_format import FIGURE_ENDINGS, FigureFormat
from snnb.rundir.directory import RunDirectory
from snnb.rundir.environment import current_environment, now_utc
from snnb.rundir.external_files import changed, is_on_this_machine
from snnb.rundir.manifest import AnyKind, AnyRecord, D, FileRecord, Kind, P, StageRecord

# Options by stage and name
Given = Mapping[str, Mapping[str, object]]
NOT_RUN = "has not run"
KEY_FIGURES = 3  # in the representation of a result


def key_figures(kind: AnyKind, record: AnyRecord) -> List[str]:
    """Return the first quantities of a result as text: `SNN accuracy 97.50 %`."""
    return [
        f"{row.title} {row.measure}"
        for row in rows(record.details, kind.summary)[:KEY_FIGURES]
    ]


@dataclass(frozen=True, repr=False)
class StageResult:
    """A result of a stage.

    Attributes
    ----------
    stage : str
        Name of the stage.
    directory : Path
    record : StageRecord
        Entry in the manifest: `params`, `details`, `warnings`, `inputs`, `outputs`,
        `timing` and so on.
    metrics : mapping of str to value
        The quantities of the details, by key.
    reason : str or None
        Why the stage has run; None if the result was up to date.
    """

    kind: AnyKind
    directory: Path
    record: AnyRecord
    reason: Optional[str] = field(default=None, compare=False)

    @property
    def stage(self) -> str:
        """Name of the stage."""
        return self.kind.name

    @property
    def metrics(self) -> Dict[Key, Value]:
        """The quantities of the details, by key."""
        return self.record.metrics

    def __repr__(self) -> str:
        figures = "".join(
            f", {figure}" for figure in key_figures(self.kind, self.record)
        )
        return f"<StageResult {self.stage}: {self.directory}{figures}>"

    def _repr_html_(self) -> str:
        return html_table(
            f"{self.stage}: {self.directory}",
            rows(self.record.details, self.kind.summary),
        )


@dataclass(frozen=True)
class PlannedRun:
    """The stages of a command, which a stage checks before one of them fails hours later."""

    stages: Sequence[str]  # that are needed, in order
    options: Given  # of all stages, also of those that are not needed
    say: Say  # called with a warning about a stage that is not needed
    force: bool = False


class Stage(Kind[P, D], ABC):
    """A stage, which is the kind of its results. Each stage is a subclass in its own file."""

    # By option: the stage that is needed instead of the stage before
    prerequisite_by_option: ClassVar[Mapping[str, str]] = MappingProxyType({})
    # Option that names the result to read; if it is given, no earlier stage is needed
    source: Optional[str] = None
    # Whether the stage requested by name adds a result, and does not keep its latest
    adds_result = False
    # Whether a new result is made each time the stage is requested by name
    always_new = False
    optional = False  # whether `snnb run` omits the stage
    time_left = True  # whether the remaining time can be estimated from the progress

    def defaults(
        self,
        run: RunDirectory,
        options: Mapping[str, object],
    ) -> Mapping[str, object]:
        """Return the defaults that depend on the run and on other options; they precede the defaults of the fields."""
        return {}

    def resolve(self, run: RunDirectory, options: Mapping[str, object]) -> P:
        """Return the parameters for the options of this stage."""
        return resolve_params(self, options, self.defaults(run, options))

    def without_effect(self, run: RunDirectory, options: Given) -> Mapping[str, str]:
        """Return, by name, why options of this stage have no effect together with the options of all stages."""
        return {}

    def check_options(self, run: RunDirectory, planned_run: PlannedRun) -> None:
        """Raise an error for options that cannot succeed, before any stage runs."""

    def check_before(
        self, run: RunDirectory, next_stage: str, planned_run: PlannedRun
    ) -> None:
        """Raise an error for options that cannot succeed, before the stage `next_stage` runs."""

    def announcement(self, run: RunDirectory, params: P) -> Optional[str]:
        """Return a message that is printed before the stage runs, or None."""
        return None

    @abstractmethod
    def execute(
        self,
        run: RunDirectory,
        params: P,
        options: Mapping[str, object],
        progress: Progress = silent,
    ) -> Optional[str]:
        """Make a result; return its name, or None for a stage with a single result.

        `params` follow from `options`, which are recorded with the result.
        """

    def counts(self, option: str) -> bool:
        """Whether a command with this option does not keep a result as it is.

        An option that does not change a result, or names the one to make, does not
        count.
        """
        names_result = option == self.source or option in self.prerequisite_by_option
        return not names_result and changes_result(self.params, option)

    def unfinished_options(
        self, run: RunDirectory, options: Mapping[str, object]
    ) -> Optional[Mapping[str, object]]:
        """Return the options of an interrupted result that a command with these options continues, or None."""
        return None

    def results_to_keep(
        self, run: RunDirectory, options: Mapping[str, object]
    ) -> List[Optional[str]]:
        """Return the names of the results that a command without options that count keeps.

        The first that is up to date is kept. The name of a single result is None.
        """
        if run.record_of(self.name) is None:
            return []
        return [None] if self.names is None else [*run.latest_first(self.name)]

    def select(
        self,
        run: RunDirectory,
        params: P,
    ) -> Tuple[Optional[str], Optional[str]]:
        """Return the name of the result with these parameters, or None for a stage with a single result, and no reason.

        If none is up to date, return None and the reason of the result that differs in
        the fewest parameters.
        """
        values = params.model_dump()
        if self.names is None:
            record = run.record_of(self.name)
            return None, NOT_RUN if record is None else stale_reason(
                run,
                record,
                values,
            )
        records = run.records_of(self.name)
        source = {name: value for name, value in values.items() if name == self.source}
        names = [
            name
            for name in run.latest_first(self.name)
            if not changed_options(records[name], source)
        ]
        names.sort(key=lambda name: len(changed_options(records[name], values)))
        for name in names:
            if stale_reason(run, records[name], values) is None:
                return name, None
        return None, stale_reason(run, records[names[0]], values) if names else NOT_RUN


AnyStage = Stage[Any, Any]


def stale_reason(
    run: RunDirectory,
    record: AnyRecord,
    params: Mapping[str, object],
) -> Optional[str]:
    """Return why a result is stale if its parameters were to be these, or None if it is up to date.

    The rules are those of the module's docstring, in their order. Parameters that are
    not given are not compared.
    """
    options = changed_options(record, params)
    if options:
        return ", ".join(options)
    for file in record.inputs:
        if file.external:
            if is_on_this_machine(file) and not _is_unchanged(run, file):
                return f"{file.path} has changed"
        elif not run.hashes.matches(file):
            exists = (run.path / file.path).exists()
            return f"{file.path} {'has changed' if exists else 'is missing'}"
    for file in record.outputs:
        if not run.hashes.matches(file):
            exists = (run.path / file.path).exists()
            return (
                f"{file.path} has been modified"
                if exists
                else f"{file.path} is missing"
            )
    return None


def _is_unchanged(run: RunDirectory, file: FileRecord) -> bool:
    """Whether a file or folder outside the run, which exists here, is as recorded."""
    if file.listing is not None:
        return changed(file) is None
    return run.hashes.matches(file)


def changed_options(record: AnyRecord, params: Mapping[str, object]) -> List[str]:
    """Return the parameters that differ from the recorded ones, as text: `epochs: 2 → 3`."""
    recorded_params, differences = record.params.model_dump(), []
    for name, new in params.items():
        old = recorded_params.get(name)
        # Only the keys that differ
        if isinstance(new, Mapping) and isinstance(old, Mapping):
            keys = [key for key in new if key not in old or new[key] != old[key]]
            new, old = (
                {key: new[key] for key in keys},
                {key: old.get(key) for key in keys},
            )
        if name in recorded_params and new != old:
            old, new = ("not given" if value is None else value for value in (old, new))
            differences.append(f"{name}: {old} → {new}")
    return differences


def other_versions(record: AnyRecord) -> List[str]:
    """Return the packages that had other versions when the stage ran."""
    old, new = (
        record.environment.model_dump(exclude={"device"}),
        current_environment().model_dump(),
    )
    return [name for name in old if name in new and old[name] != new[name]]


def recorded_options(
    run: RunDirectory, stage: AnyStage, record: AnyRecord
) -> Dict[str, object]:
    """Return the options that were given for a result.

    Earlier versions of snnb did not record them: the options of such a result are its
    parameters that are not the defaults of now.
    """
    if record.options is not None:
        return dict(record.options)
    kind = stage.params
    defaults: Mapping[str, object] = {}
    with suppress(SnnbError):  # an option is required
        defaults = dict(stage.resolve(run, {}))
    options: Dict[str, object] = {}
    for name, value in record.params:
        is_default = name in defaults and defaults[name] == value
        if changes_result(kind, name) and not is_default:
            options[name] = value
    return options


def recorded(
    run: RunDirectory,
    kind: Kind[P, D],
    name: Optional[str] = None,
) -> Optional[StageRecord[P, D]]:
    """Return the record of a result with its types, by default of the latest result."""
    return cast("Optional[StageRecord[P, D]]", run.record_of(kind.name, name))


def recorded_details(run: RunDirectory, kind: Kind[P, D]) -> D:
    """Return the details of a stage that has run."""
    record = recorded(run, kind)
    assert record is not None
    return record.details


def require_result(
    run: RunDirectory,
    option: str,
    name: Optional[str],
    names: Collection[str],
) -> None:
    """Raise `UsageError` if `option` names a result that is not among the `names` of the run."""
    if name not in names:
        raise UsageError(
            f"{option} {name}: not in {run.path}; there are: "
            f"{', '.join(names) or 'none yet'}",
        )


def result_of(run: RunDirectory, stage: str, name: Optional[str] = None) -> StageResult:
    """Return the result of a complete stage."""
    record = run.record_of(stage, name)
    assert record is not None
    return StageResult(
        run.kind(stage),
        run.path / run.directory_of(stage, name),
        record,
    )


def resolve_params(
    kind: Kind[P, D],
    options: Mapping[str, object],
    defaults: Mapping[str, object] = MappingProxyType({}),
) -> P:
    """Return parameters with the values of options, else with `defaults`, else with the defaults of the fields."""
    return validated(kind.params, over_defaults(defaults, options))


def option_value(kind: Kind[P, D], options: Given, name: str) -> object:
    """Return the value of an option, else the default of its field; `options` are by stage."""
    default = kind.params.model_fields[name].default
    return options.get(kind.name, {}).get(name, default)


def figure_format(
    format_given: Optional[FigureFormat],
    record: Optional[AnyRecord],
    stem: str,
) -> FigureFormat:
    """Return the format of figures: the given format, else the format of the figure `stem` in `record`, else PNG."""
    paths = (
        [PurePosixPath(file.path) for file in record.outputs]
        if record is not None
        else []
    )
    endings = [
        path.suffix
        for path in paths
        if path.stem == stem and path.suffix in FIGURE_ENDINGS
    ]
    return format_given or cast(FigureFormat, endings[0][1:] if endings else "png")


def unaltered(run: RunDirectory, path: str) -> Path:
    """Return the absolute path of an output of a stage, given relative to the run.

    Raise `DamagedError` if the file is missing or does not have its recorded hash.
    """
    written = run.outputs().get(path)
    if written is None or not run.hashes.matches(written):
        raise DamagedError(run.path / path, "modified")
    return run.path / path


def write_log(
    path: Path,
    run: RunDirectory,
    params: Mapping[str, JsonValue],
    lines: Sequence[str],
    *,
    with_date: bool = True,
) -> None:
    """Write `log.txt`: model, parameters and versions, then the stage's own lines.

    Without the time (`with_date`), equal results give equal bytes.
    """
    info, versions = run.manifest.run, current_environment().model_dump()
    head = [
        f"model       {info.model}",
        *([] if info.imported else [f"data set    {info.dataset}"]),
        *(
            [f"written     {now_utc().isoformat(timespec='seconds')}"]
            if with_date
            else []
        ),
        f"parameters  {', '.join(f'{name}={value}' for name, value in params.items())}",
        "versions    "
        f"{', '.join(f'{name} {value}' for name, value in versions.items() if value is not None)}",
    ]
    path.write_text("\n".join([*head, "", *lines, ""]), encoding="utf-8")
