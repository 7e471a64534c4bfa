"""The manifest of a run: the schema of `manifest.yaml`, reading and writing it."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import (
    Any,
    Dict,
    Generic,
    List,
    Literal,
    Optional,
    Sequence,
    Tuple,
    Type,
    TypeVar,
)

import yaml
from pydantic import (
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
    with_config,
)
from typing_extensions import Annotated, TypedDict

from snnb.core.errors import InputError, advising
from snnb.core.options import Options, changes_result, field_type
from snnb.core.quantities import Key, Value, View, values
from snnb.io.atomic import write_text_atomically
from snnb.io.faults import faults_in_words
from snnb.io.files import read_text_bytes
from snnb.io.text import Document, parse_yaml, read_text
from snnb.version import __version__

NAME = "manifest.yaml"
SEAL = "# sha256 of the lines above: "  # begin of the last line
ADVICE = "restore it from a copy, or start a new run directory"
SCHEMA_VERSION = 1
OTHER_VERSION = "use the snnb that wrote it, or start a new run directory"
Sha256 = Field(pattern=r"^[0-9a-f]{64}$")
LARGEST = 2**63 - 1
Bytes = Annotated[int, Field(ge=0, le=LARGEST)]
ModelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,100}$")]


class Record(Document):
    """Base class of the parts of a manifest."""


P = TypeVar("P", bound=Options)
D = TypeVar("D", bound=Record)


class FileRecord(Record):
    """A file by its content. `path` is relative to the run directory unless the file is `external`.

    An external folder has one record of its files that are not hidden. `sha256` is the
    hash of a line `sha256  path` for each file, in the order of the parts of the
    relative paths; `size_bytes` is the sum of the sizes, and `files` the number of
    files; `listing` is the hash of names, sizes and modification times. While the
    listing is the same, no file is read again. A link counts as a file whose content is
    the path in it.
    """

    path: str
    sha256: str = Sha256
    size_bytes: Bytes
    external: Optional[bool] = None
    files: Optional[Bytes] = None
    listing: Optional[str] = Field(default=None, pattern=r"^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _is_consistent(self) -> "FileRecord":
        path = PurePosixPath(self.path)
        if not self.external and (
            path.is_absolute()
            or ".." in path.parts
            or "\\" in self.path
            or not path.parts
        ):
            raise ValueError(f"path {self.path!r} leaves the run directory")
        if (self.listing is None) != (self.files is None):
            raise ValueError("a folder has `listing` and `files`, a file neither")
        return self


class Environment(Record):
    """Versions and device that computed the stage."""

    python: str
    snnb: str
    numpy: str
    tensorflow: Optional[str] = None
    snntoolbox: Optional[str] = None
    device: Literal["cpu", "gpu"]


class Timing(Record):
    """Start, wall time in seconds, and largest resident memory while the stage ran."""

    started_utc: str
    wall_s: float = Field(ge=0)
    peak_rss_bytes: Bytes

    @field_validator("started_utc")
    @classmethod
    def _is_time(cls, text: str) -> str:
        datetime.fromisoformat(text)
        return text


class StageRecord(Record, Generic[P, D]):
    """Record of a result: options, parameters, inputs, outputs, and details of a type that the stage defines.

    The parameters are the options and the defaults of all other options.
    """

    status: Literal["complete"] = "complete"
    command: List[str]
    # Given for this result; None in the manifests of earlier versions of snnb
    options: Optional[Dict[str, Any]] = None
    params: P
    inputs: List[FileRecord]
    outputs: List[FileRecord]
    environment: Environment
    timing: Timing
    warnings: List[str] = Field(default_factory=list)
    details: D

    @property
    def metrics(self) -> Dict[Key, Value]:
        """The quantities of the details, by key."""
        return values(self.details)


AnyRecord = StageRecord[Any, Any]


class RunInfo(Record):
    """Model and data set of the run; `model_source` names the file of a model that the user wrote.

    A run that is `imported` begins with an external graph: `model` is the name of its
    files, `dataset` is empty. Earlier versions of snnb kept `options` here, which are
    ignored.
    """

    model: ModelName
    dataset: str
    model_source: Optional[str] = None
    imported: Optional[bool] = None
    created_utc: str
    snnb_version: str
    options: Any = Field(default=None, exclude=True)

    def difference(self, expected_info: "RunInfo") -> Optional[str]:
        """Return the first difference to another run, as `model a, not b`; None if model and data set are the same."""
        if self.imported or expected_info.imported:
            return None if self.imported and expected_info.imported else self.title
        for name in ("model", "dataset", "model_source"):
            if getattr(self, name) != getattr(expected_info, name):
                return (
                    f"{name} {getattr(self, name)}, not {getattr(expected_info, name)}"
                )
        return None

    @property
    def title(self) -> str:
        """Model and data set as text."""
        return (
            f"{self.model}, an external graph"
            if self.imported
            else f"{self.model} on {self.dataset}"
        )


@dataclass(frozen=True)
class Kind(Generic[P, D]):
    """A kind of result, of which a run holds one or several."""

    name: str  # name of the stage that makes it
    # Relative to the run; for several results, the folder of their directories
    directory: str
    params: Type[P]
    details: Type[D]
    summary: View = field(compare=False)  # of the details: what the command prints
    # Pattern of the names of several results; None if there is one
    names: Optional[str] = None

    @property
    def key(self) -> str:
        """Its key in `stages` of the manifest."""
        return self.name if self.names is None else self.directory

    @property
    def record_type(self) -> Type[StageRecord[P, D]]:
        """The type of its records."""
        return _record_type(self)


AnyKind = Kind[Any, Any]


@lru_cache(maxsize=None)
def _record_type(kind: AnyKind) -> Any:
    """Return the type of the records of a kind, whose options are some of its parameters."""
    types = {
        name: field_type(kind.params, name)
        for name in kind.params.model_fields
        if changes_result(kind.params, name)
    }
    options = TypedDict("options", types, total=False)  # type: ignore[misc]
    with_config(ConfigDict(extra="forbid", allow_inf_nan=False))(options)
    return create_model(
        f"{kind.name.capitalize()}Record",
        __base__=StageRecord[kind.params, kind.details],  # type: ignore[name-defined]
        options=(Optional[options], None),
    )


class Manifest(Record):
    """Base class of manifests; `manifest_type` adds the stages."""

    schema_version: Literal[1] = 1
    run: RunInfo
    stages: Any = None


@lru_cache(maxsize=None)
def manifest_type(kinds: Tuple[AnyKind, ...]) -> Type[Manifest]:
    """Return the type of a manifest with stages of these kinds."""
    fields: Dict[str, Any] = {}
    for kind in kinds:
        if kind.names is None:
            fields[kind.key] = (Optional[kind.record_type], None)
        else:
            name = Annotated[str, StringConstraints(pattern=kind.names)]
            fields[kind.key] = (Dict[name, kind.record_type], {})  # type: ignore[name-defined]
    stages = create_model("Stages", __base__=Record, **fields)
    return create_model(
        "ManifestOfKinds",
        __base__=Manifest,
        stages=(stages, stages()),
    )


def load_manifest(path: Path, kinds: Tuple[AnyKind, ...]) -> Manifest:
    """Read and validate a manifest of a run that may hold results of these kinds."""
    with advising(ADVICE):
        text = read_text(path)
        refuse_unsealed(text, path)
        data = parse_yaml(text, path)
    if data is None:
        raise InputError(f"{path} is not a manifest: it is empty; {ADVICE}")
    if not isinstance(data, dict):
        raise InputError(
            f"{path} is not a manifest: it holds {type(data).__name__}, not a mapping; "
            f"{ADVICE}"
        )
    version = data.get("schema_version")
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema_version is {repr(version)[:40]}, this snnb reads "
            f"{SCHEMA_VERSION}; {OTHER_VERSION}",
        )
    kind = manifest_type(kinds)
    try:
        content = kind.model_validate(data)
    except ValidationError as error:
        faults = faults_in_words(error, kind, data, f"unknown to snnb {__version__}")
        has_unknown_key = any(
            wrong["type"] == "extra_forbidden" for wrong in error.errors()
        )
        raise InputError(
            f"{path}: {faults}; {OTHER_VERSION if has_unknown_key else ADVICE}",
        ) from None
    for directory, record in records(content, kinds).items():
        for file in record.outputs:
            if file.external or not file.path.startswith(f"{directory}/"):
                raise InputError(
                    f"{path}: output {file.path[:200]!r} is not in {directory}/; "
                    f"{ADVICE}",
                )
    return content


def records(content: Manifest, kinds: Sequence[AnyKind]) -> Dict[str, AnyRecord]:
    """Return the records in a manifest by directory, in the order of `kinds`."""
    by_directory: Dict[str, AnyRecord] = {}
    for kind in kinds:
        stage_records = getattr(content.stages, kind.key)
        if kind.names is not None:
            by_directory.update(
                {
                    f"{kind.directory}/{name}": record
                    for name, record in stage_records.items()
                },
            )
        elif stage_records is not None:
            by_directory[kind.directory] = stage_records
    return by_directory


def save_manifest(manifest: Manifest, path: Path) -> None:
    """Write a manifest atomically to `path`; an error may be raised after it is in place."""
    data: Dict[str, object] = manifest.model_dump(mode="json")
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    write_text_atomically(
        path,
        sealed(
            yaml.dump(
                data,
                Dumper=dumper,
                sort_keys=False,
                allow_unicode=True,
                width=120,
            ),
        ),
    )


def sealed(lines: str) -> str:
    """Return the lines of a manifest with a last line that has their SHA-256."""
    return f"{lines}{SEAL}{hashlib.sha256(lines.encode()).hexdigest()}\n"


def seal_of(path: Path) -> bytes:
    """Return the last line of a manifest, which is another one after each change."""
    return read_text_bytes(path).rpartition(SEAL.encode())[2]


def refuse_unsealed(text: str, path: Path) -> None:
    """Raise `InputError` if the text of a manifest does not end with the SHA-256 of its lines."""
    lines, seal, seal_text = text.rpartition(SEAL)
    digest = hashlib.sha256((lines if seal else text).encode()).hexdigest()
    if seal and seal_text == f"{digest}\n":
        return
    repair = f"if you have edited it, end it with the line `{SEAL}{digest}`"
    if not seal:
        raise InputError(f"{path} has no checksum in its last line; {ADVICE}; {repair}")
    raise InputError(f"{path} was changed after it was written; {ADVICE}; {repair}")
