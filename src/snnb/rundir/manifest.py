"""The manifest of a run: schema of `manifest.yaml`, reading and writing it, and the contents of its records.

These are the SHA-256 hashes of files and folders, and versions, device, time and memory of this process.
"""

import hashlib
import json
import os
import platform
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass
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
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
    Type,
    TypeVar,
    Union,
)

import yaml
from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, create_model, model_validator
from typing_extensions import Annotated

from snnb.core.errors import DamagedError, InputError, advising
from snnb.core.options import Options
from snnb.core.progress import Progress, silent
from snnb.io.faults import faults_in_words
from snnb.io.files import read_bytes, sha256_of, write_text_atomically
from snnb.io.text import Document, load_yaml
from snnb.version import __version__

NAME = "manifest.yaml"
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

    An external folder has one record of its files that are not hidden. `sha256` is the hash of a line `sha256  path`
    for each file, in the order of the parts of the relative paths; `size_bytes` is the sum of the sizes; `listing` is
    the hash of names, sizes and modification times. While the listing is the same, no file is read again.
    """

    path: str
    sha256: str = Sha256
    size_bytes: Bytes
    external: Optional[bool] = None
    listing: Optional[str] = Field(default=None, pattern=r"^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _stays_inside(self) -> "FileRecord":
        path = PurePosixPath(self.path)
        if not self.external and (path.is_absolute() or ".." in path.parts or "\\" in self.path or not path.parts):
            raise ValueError(f"path {self.path!r} leaves the run directory")
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


class StageRecord(Record, Generic[P, D]):
    """Record of a result: parameters, inputs, outputs, and details of a type that the stage defines."""

    status: Literal["complete"] = "complete"
    command: List[str]
    params: P
    inputs: List[FileRecord]
    outputs: List[FileRecord]
    metrics: Dict[str, Union[int, float, None]] = Field(default_factory=dict)
    environment: Environment
    timing: Timing
    warnings: List[str] = Field(default_factory=list)
    details: D


AnyRecord = StageRecord[Any, Any]


class RunInfo(Record):
    """Model and data set of the run; `model_source` names the file of a model that the user wrote.

    A run that is `imported` begins with an external graph: `model` is the name of its files, `dataset` is empty.
    """

    model: ModelName
    dataset: str
    model_source: Optional[str] = None
    imported: Optional[bool] = None
    created_utc: str
    snnb_version: str

    def difference(self, wanted: "RunInfo") -> Optional[str]:
        """Return the first difference to another run, as `model a, not b`; None if model and data set are the same."""
        if self.imported or wanted.imported:
            return None if self.imported and wanted.imported else self.title
        for field in ("model", "dataset", "model_source"):
            if getattr(self, field) != getattr(wanted, field):
                return f"{field} {getattr(self, field)}, not {getattr(wanted, field)}"
        return None

    @property
    def title(self) -> str:
        """Model and data set as text."""
        return f"{self.model}, an external graph" if self.imported else f"{self.model} on {self.dataset}"


@dataclass(frozen=True)
class Kind(Generic[P, D]):
    """A kind of result, of which a run holds one or several."""

    name: str  # name of the stage that makes it
    directory: str  # relative to the run; for several results, the folder of their directories
    params: Type[P]
    details: Type[D]
    names: Optional[str] = None  # pattern of the names of several results; None if there is one

    @property
    def key(self) -> str:
        """Its key in `stages` of the manifest."""
        return self.name if self.names is None else self.directory

    @property
    def record_type(self) -> Type[StageRecord[P, D]]:
        """The type of its records."""
        return StageRecord[self.params, self.details]  # type: ignore[name-defined]


AnyKind = Kind[Any, Any]


def is_sweep_point(record: AnyRecord) -> bool:
    """Whether a sweep made a result, whose options later commands do not inherit."""
    return bool(getattr(record.details, "sweep_point", False))


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
    return create_model("ManifestOfKinds", __base__=Manifest, stages=(stages, stages()))


def load_manifest(path: Path, kinds: Tuple[AnyKind, ...]) -> Manifest:
    """Read and validate a manifest of a run that may hold results of these kinds."""
    with advising(ADVICE):
        data = load_yaml(path)
    if not isinstance(data, dict):
        fault = "is empty" if data is None else f"holds {type(data).__name__}, not a mapping"
        raise InputError(f"{path} is not a manifest: it {fault}; {ADVICE}")
    version = data.get("schema_version")
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema_version is {repr(version)[:40]}, this snnb reads {SCHEMA_VERSION}; {OTHER_VERSION}"
        )
    kind = manifest_type(kinds)
    try:
        content = kind.model_validate(data)
    except ValidationError as error:
        faults = faults_in_words(error, kind, data, f"unknown to snnb {__version__}")
        unknown = any(wrong["type"] == "extra_forbidden" for wrong in error.errors())
        raise InputError(f"{path}: {faults}; {OTHER_VERSION if unknown else ADVICE}") from None
    for directory, record in records(content, kinds).items():
        for file in record.outputs:
            if file.external or not file.path.startswith(f"{directory}/"):
                raise InputError(f"{path}: output {file.path[:200]!r} is not in {directory}/; {ADVICE}")
    return content


def records(content: Manifest, kinds: Sequence[AnyKind]) -> Dict[str, AnyRecord]:
    """Return the records in a manifest by directory, in the order of `kinds`."""
    by_directory: Dict[str, AnyRecord] = {}
    for kind in kinds:
        recorded = getattr(content.stages, kind.key)
        if kind.names is not None:
            by_directory.update({f"{kind.directory}/{name}": record for name, record in recorded.items()})
        elif recorded is not None:
            by_directory[kind.directory] = recorded
    return by_directory


def save_manifest(manifest: Manifest, path: Path) -> None:
    """Write a manifest atomically to `path`."""
    data: Dict[str, object] = manifest.model_dump(mode="json")
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    write_text_atomically(path, yaml.dump(data, Dumper=dumper, sort_keys=False, allow_unicode=True, width=120))


HASHES = ".hashes.json"
Stamp = Tuple[int, int, int, int]
_REMEMBERED = TypeAdapter(Dict[str, Tuple[Stamp, str]])


class HashMemory:
    """Cache of SHA-256 hashes by path, so that deciding whether a stage is up to date does not read gigabytes again.

    An entry is valid for the file's size, inode, mtime and ctime, the last of which no program can set. A stage that
    runs (`read`) uses only hashes that this object has computed, and a verification none.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.remembered: Dict[str, Tuple[Stamp, str]] = {}
        with suppress(OSError, ValueError, DamagedError):  # it is made again
            self.remembered = _REMEMBERED.validate_json(read_bytes(directory / HASHES))
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
        return FileRecord(path=path, sha256=sha256, size_bytes=self.remembered[path][0][0])

    def matches(self, record: FileRecord) -> bool:
        """Whether the file exists with the recorded content."""
        file = self.directory / record.path
        if not file.is_file() or file.stat().st_size != record.size_bytes:
            return False
        return self.sha256(record.path) == record.sha256

    def save(self) -> None:
        """Write the cache for the next process, if the directory can be written."""
        existing = {path: value for path, value in self.remembered.items() if (self.directory / path).is_file()}
        with suppress(OSError):
            write_text_atomically(self.directory / HASHES, json.dumps(existing, sort_keys=True))


def file_record(path: Path, sha256: Optional[str] = None) -> FileRecord:
    """Return the record of a file outside the run; its hash is computed if it is not given."""
    size = path.stat().st_size
    return FileRecord(path=str(path.absolute()), sha256=sha256 or sha256_of(path), size_bytes=size, external=True)


def external_records(paths: Iterable[Path], progress: Progress = silent) -> List[FileRecord]:
    """Return records of files and folders outside the run; `progress` is called with the number of bytes hashed."""
    records = []
    for path in sorted(paths):
        if path.is_dir():
            listing, sizes = folder_listing(path)
            content, total = _content(path, sizes, progress), sum(sizes.values())
            folder = str(path.absolute())
            records.append(FileRecord(path=folder, sha256=content, size_bytes=total, external=True, listing=listing))
        else:
            records.append(file_record(path))
    return records


def changed(record: FileRecord, *, read_all: bool = False) -> Optional[str]:
    """Return how a file or folder outside the run differs from its record; None if it is equal or cannot be read.

    With `read_all`, compare the content of a folder even if its listing is the recorded one.
    """
    path = Path(record.path)
    try:
        if not path.exists():
            return None
        if not path.is_dir():
            same = path.is_file() and path.stat().st_size == record.size_bytes and sha256_of(path) == record.sha256
        else:
            listing, sizes = folder_listing(path)
            same = listing == record.listing and not read_all
            if not same and sum(sizes.values()) == record.size_bytes:  # it may be a copy with other modification times
                same = _content(path, sizes, silent) == record.sha256
        return None if same else "has changed"
    except PermissionError:
        return None


def folder_listing(folder: Path) -> Tuple[str, Dict[str, int]]:
    """Return the hash of the names, sizes and modification times of the files below a folder, and their sizes by path.

    Hidden files and broken links are ignored, other links are followed. The paths have `/`.
    """
    digest, sizes = hashlib.sha256(), {}
    for parent, folders, names in os.walk(str(folder), followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in (Path(parent, name) for name in sorted(names) if not name.startswith(".")):
            if file.is_file():
                path, status = file.relative_to(folder).as_posix(), file.stat()
                digest.update(f"{status.st_size} {status.st_mtime_ns} ".encode() + os.fsencode(path) + b"\0")
                sizes[path] = status.st_size
    return digest.hexdigest(), sizes


def _content(folder: Path, sizes: Mapping[str, int], progress: Progress) -> str:
    """Return the hash of a folder, see `FileRecord`; `sizes` has its files."""
    digest, done, total = hashlib.sha256(), 0, sum(sizes.values())
    for name in sorted(sizes, key=lambda name: name.split("/")):
        digest.update(f"{sha256_of(folder / name)}  ".encode() + os.fsencode(name) + b"\n")
        done += sizes[name]
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
    tensorflow = sys.modules.get("tensorflow")  # None if this process has not imported it
    return Environment(
        python=platform.python_version(),
        snnb=__version__,
        numpy=version_of("numpy") or "unknown",
        tensorflow=version_of("tensorflow", "tensorflow-cpu"),
        snntoolbox=version_of("snntoolbox"),
        device="gpu" if tensorflow is not None and tensorflow.config.list_physical_devices("GPU") else "cpu",
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
