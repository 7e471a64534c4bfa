"""The manifest of a run: schema of `manifest.yaml`, reading and writing it, and the contents of its records.

These are the SHA-256 hashes of files and folders, and versions, device, time and memory
of this process.
"""

import hashlib
import json
import os
import platform
import resource
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import (
    Any,
    Dict,
    Generic,
    Iterable,
    List,
    Literal,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
    Type,
    TypeVar,
    overload,
)

import yaml
from pydantic import (
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
    with_config,
)
from typing_extensions import Annotated, TypedDict

from snnb.core.errors import DamagedError, InputError, advising
from snnb.core.options import Options, changes_result, field_type
from snnb.core.progress import Progress, silent
from snnb.core.quantities import Key, Value, View, values
from snnb.io.atomic import write_text_atomically
from snnb.io.faults import faults_in_words
from snnb.io.files import read_text_bytes, refuse_special, sha256_of
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
    if not isinstance(data, dict):
        fault = (
            "is empty"
            if data is None
            else f"holds {type(data).__name__}, not a mapping"
        )
        raise InputError(f"{path} is not a manifest: it {fault}; {ADVICE}")
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
    fault = (
        "was changed after it was written"
        if seal
        else "has no checksum in its last line"
    )
    raise InputError(
        f"{path} {fault}; {ADVICE}; if you have edited it, end it with the line "
        f"`{SEAL}{digest}`",
    )


HASHES = ".hashes.json"
Stamp = Tuple[int, int, int, int]
_REMEMBERED = TypeAdapter(Dict[str, Tuple[Stamp, str]])


class HashMemory:
    """Cache of SHA-256 hashes by path, so that deciding whether a stage is up to date does not read gigabytes again.

    An entry is valid for the file's size, inode, mtime and ctime, the last of which no
    program can set. A stage that runs (`read`) uses only hashes that this object has
    computed, and a verification none.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.remembered: Dict[str, Tuple[Stamp, str]] = {}
        path = directory / HASHES
        if path.is_file():
            content = read_text_bytes(path)
            with suppress(ValueError):  # it is made again
                self.remembered = _REMEMBERED.validate_json(content)
        self._computed: Set[str] = set()

    def sha256(self, path: str) -> Optional[str]:
        """Return the hash of a file, given relative to the run directory; None if the file does not exist."""
        file = self.directory / path
        if not file.is_file():
            return None
        status = file.stat()
        stamp = status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
        if path not in self.remembered or self.remembered[path][0] != stamp:
            self.remembered[path] = (stamp, sha256_of(file))
            self._computed.add(path)
        return self.remembered[path][1]

    def read(self, path: str) -> FileRecord:
        """Return the record of a file of the run, hashed since the run was opened."""
        if path not in self._computed:
            self.remembered.pop(path, None)
        sha256 = self.sha256(path)
        if sha256 is None:
            raise DamagedError(self.directory / path, "no such file")
        return FileRecord(
            path=path,
            sha256=sha256,
            size_bytes=self.remembered[path][0][0],
        )

    def matches(self, record: FileRecord) -> bool:
        """Whether the file exists with the recorded content."""
        file = self.directory / record.path
        if not file.is_file() or file.stat().st_size != record.size_bytes:
            return False
        return self.sha256(record.path) == record.sha256

    def drop_file(self) -> None:
        """Remove the file of the cache, which `save` writes again."""
        (self.directory / HASHES).unlink(missing_ok=True)

    def save(self) -> None:
        """Write the cache for the next process, if the directory can be written."""
        existing = {
            path: value
            for path, value in self.remembered.items()
            if (self.directory / path).is_file()
        }
        with suppress(OSError):
            write_text_atomically(
                self.directory / HASHES,
                json.dumps(existing, sort_keys=True),
            )


def file_record(path: Path, sha256: Optional[str] = None) -> FileRecord:
    """Return the record of a file outside the run; its hash is computed if it is not given."""
    size = path.stat().st_size
    return FileRecord(
        path=str(path.absolute()),
        sha256=sha256 or sha256_of(path),
        size_bytes=size,
        external=True,
    )


def external_records(
    paths: Iterable[Path],
    progress: Progress = silent,
) -> List[FileRecord]:
    """Return records of files and folders outside the run.

    What a link in a folder leads to has its own record, unless it is in the folder too.
    `progress` is called with the number of bytes hashed.
    """
    records: Dict[str, FileRecord] = {}
    pending = sorted(paths, reverse=True)
    while pending:
        path = pending.pop()
        if str(path.absolute()) in records:
            continue
        if not path.is_dir():
            records[str(path.absolute())] = file_record(path)
            continue
        listing = list_folder(path)
        records[str(path.absolute())] = FileRecord(
            path=str(path.absolute()),
            sha256=_content(path, listing, progress),
            size_bytes=sum(listing.sizes.values()),
            external=True,
            files=len(listing.sizes),
            listing=listing.sha256,
        )
        folder = path.resolve()
        targets = set()
        for link in sorted(listing.links):
            refuse_special(path / link)
            target = (path / link).resolve()
            if target.exists() and folder not in (target, *target.parents):
                targets.add(target)
        pending += sorted(targets)
    return list(records.values())


def changed(record: FileRecord, *, read_all: bool = False) -> Optional[str]:
    """Return how a file or folder outside the run differs from its record.

    Return None if it is equal, or if it does not exist or cannot be read on this
    machine. With `read_all`, compare the content of a folder even if its listing is the
    recorded one, and raise `OSError` for what cannot be read.
    """
    path = Path(record.path)
    try:
        if not is_on_this_machine(record):
            return None
        if path.is_dir():
            same = record.files is not None and _is_same_folder(path, record, read_all)
        else:
            same = (
                path.is_file()
                and path.stat().st_size == record.size_bytes
                and sha256_of(path) == record.sha256
            )
    except OSError as error:
        if read_all and not isinstance(error, PermissionError):
            raise
        return None
    return None if same else "has changed"


def is_on_this_machine(record: FileRecord) -> bool:
    """Whether a file or folder outside the run exists here, and this user may read it."""
    return os.access(record.path, os.R_OK)


def _is_same_folder(path: Path, record: FileRecord, read_all: bool) -> bool:
    listing = list_folder(path, record)
    if listing is None:
        return False
    if listing.sha256 == record.listing and not read_all:
        return True
    if sum(listing.sizes.values()) != record.size_bytes:
        return False
    # A copy has other modification times
    return _content(path, listing, silent) == record.sha256


class Listing(NamedTuple):
    """The files below a folder that are not hidden."""

    sha256: str  # of names, sizes and modification times
    # Bytes by path, which is relative and has `/`; of a link, the length of the path in
    # it
    sizes: Dict[str, int]
    links: Dict[str, str]  # paths in the links


@overload
def list_folder(folder: Path) -> Listing: ...
@overload
def list_folder(folder: Path, bounds: FileRecord) -> Optional[Listing]: ...
def list_folder(folder: Path, bounds: Optional[FileRecord] = None) -> Optional[Listing]:
    """List the files and links below a folder; links are not followed, and other entries are ignored.

    Return None as soon as there are more files or bytes than in the record `bounds`.
    """
    digest = hashlib.sha256()
    sizes: Dict[str, int] = {}
    links: Dict[str, str] = {}
    size_bytes = 0
    for parent, folders, names in os.walk(str(folder)):
        linked = [name for name in folders if Path(parent, name).is_symlink()]
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name not in linked
        )
        for name in sorted([*names, *linked]):
            file = Path(parent, name)
            status = file.lstat()
            path = file.relative_to(folder).as_posix()
            if name.startswith(".") or not (
                stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)
            ):
                continue
            digest.update(
                f"{status.st_size} {status.st_mtime_ns} ".encode()
                + os.fsencode(path)
                + b"\0",
            )
            sizes[path] = status.st_size
            size_bytes += status.st_size
            if stat.S_ISLNK(status.st_mode):
                links[path] = os.readlink(str(file))
            if bounds is not None and (
                len(sizes) > (bounds.files or 0) or size_bytes > bounds.size_bytes
            ):
                return None
    return Listing(digest.hexdigest(), sizes, links)


def _content(folder: Path, listing: Listing, progress: Progress) -> str:
    """Return the hash of a folder, see `FileRecord`."""
    digest = hashlib.sha256()
    total, done = sum(listing.sizes.values()), 0
    for path in sorted(listing.sizes, key=lambda path: path.split("/")):
        if path in listing.links:
            sha256 = hashlib.sha256(os.fsencode(listing.links[path])).hexdigest()
        else:
            sha256 = sha256_of(folder / path)
        digest.update(f"{sha256}  ".encode() + os.fsencode(path) + b"\n")
        done += listing.sizes[path]
        progress(done, total, "hashes")
    return digest.hexdigest()


STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")


def version_of(*distributions: str) -> Optional[str]:
    """Return the version of the first of `distributions` that is installed, or None."""
    for name in distributions:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def current_environment() -> Environment:
    """Return the environment of this process, for the manifest."""
    # None if this process has not imported it
    tensorflow = sys.modules.get("tensorflow")
    return Environment(
        python=platform.python_version(),
        snnb=__version__,
        numpy=version_of("numpy") or "unknown",
        tensorflow=version_of("tensorflow", "tensorflow-cpu"),
        snntoolbox=version_of("snntoolbox"),
        device="gpu"
        if tensorflow is not None and tensorflow.config.list_physical_devices("GPU")
        else "cpu",
    )


def now_utc() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(timezone.utc)


def reset_peak_memory() -> None:
    """Reset `peak_memory` if the system allows it (proc(5): clear_refs 5)."""
    with suppress(OSError):
        CLEAR_REFS.write_text("5", encoding="ascii")


def peak_memory() -> int:
    """Return the largest resident memory of this process in bytes since `reset_peak_memory`."""
    with suppress(OSError):
        for line in STATUS.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
