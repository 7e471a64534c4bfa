"""Read and write `manifest.yaml`."""

from pathlib import Path
from typing import Dict, Sequence, Tuple

import yaml
from pydantic import ValidationError

from snnb.core.errors import InputError, advising
from snnb.io.atomic import write_text_atomically
from snnb.io.text import load_yaml
from snnb.rundir.records import SCHEMA_VERSION, AnyKind, AnyRecord, Manifest, manifest_type

NAME = "manifest.yaml"
ADVICE = "restore it from a copy, or start a new run directory"


def load_manifest(path: Path, kinds: Tuple[AnyKind, ...]) -> Manifest:
    """Read and validate a manifest of a run that may hold results of these kinds."""
    with advising(ADVICE):
        data = load_yaml(path)
    if not isinstance(data, dict):
        raise InputError(f"{path} is not a manifest: it holds {type(data).__name__}, not a mapping; {ADVICE}")
    version = data.get("schema_version")
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema_version is {repr(version)[:40]}, this snnb reads {SCHEMA_VERSION}; "
            "use the snnb that wrote it, or start a new run directory"
        )
    try:
        content = manifest_type(kinds).model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise InputError(f"{path}: {field[:200]}: {first['msg'][:300]}{more}; {ADVICE}") from None
    for directory, record in records(content, kinds).items():
        for file in record.outputs:
            if file.external or not file.path.startswith(f"{directory}/"):
                raise InputError(f"{path}: output {file.path[:200]!r} is not in {directory}/; {ADVICE}")
    return content


def records(content: Manifest, kinds: Sequence[AnyKind]) -> Dict[str, AnyRecord]:
    """Return the records in a manifest by directory, in the order of `kinds`."""
    found: Dict[str, AnyRecord] = {}
    for kind in kinds:
        there = getattr(content.stages, kind.key)
        if kind.names is not None:
            found.update({f"{kind.directory}/{name}": record for name, record in there.items()})
        elif there is not None:
            found[kind.directory] = there
    return found


def save_manifest(manifest: Manifest, path: Path) -> None:
    """Write a manifest atomically to `path`."""
    data: Dict[str, object] = manifest.model_dump(mode="json")
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    write_text_atomically(path, yaml.dump(data, Dumper=dumper, sort_keys=False, allow_unicode=True, width=120))
