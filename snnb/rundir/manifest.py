"""Reading and writing `manifest.yaml`: a safe loader, one-line errors that name the field, a stable order of keys."""

from pathlib import Path
from typing import Any, Dict

import yaml
from pydantic import ValidationError

from snnb.errors import InputError
from snnb.files import write_text_atomically
from snnb.rundir.records import SCHEMA_VERSION, Manifest

NAME = "manifest.yaml"


def load_manifest(path: Path) -> Manifest:
    """Read and validate a manifest.

    Raises
    ------
    InputError
        The file cannot be read, is no YAML, has another schema version, or a field is unknown or of the wrong type.
    """
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text; restore it from a copy, or start a new run directory") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise InputError(
            f"{path} is not valid YAML{where}; restore it from a copy, or start a new run directory"
        ) from None
    if not isinstance(data, dict):
        raise InputError(f"{path} is no manifest: it holds {type(data).__name__}, not a mapping")
    version = data.get("schema_version")
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema_version is {version!r}, this snnb reads {SCHEMA_VERSION}; "
            "use the snnb that wrote it, or start a new run directory"
        )
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise InputError(
            f"{path}: {field}: {first['msg']}{more}; restore it from a copy, or start a new run directory"
        ) from None


def save_manifest(manifest: Manifest, path: Path) -> None:
    """Write a manifest whole or not at all."""
    data: Dict[str, Any] = manifest.model_dump(mode="json", exclude_defaults=False)
    text = yaml.dump(
        data,
        Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
        sort_keys=False,
        allow_unicode=True,
        width=120,
    )
    write_text_atomically(path, text)
