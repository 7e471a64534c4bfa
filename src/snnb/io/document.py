"""Base class of JSON documents: the files of results, and the output of commands with `--json`."""

import json
from pathlib import Path
from typing import Dict, Type, TypeVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, ValidationError, model_serializer

from snnb.core.errors import DamagedError
from snnb.io.text import read_text

T = TypeVar("T", bound="Document")


class Document(BaseModel):
    """An immutable JSON object. A field with a default is left out where it is None; unknown keys are an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)

    @model_serializer(mode="wrap")
    def _omit_absent(self, plain: SerializerFunctionWrapHandler) -> Dict[str, object]:
        values: Dict[str, object] = plain(self)
        fields = type(self).model_fields
        return {name: value for name, value in values.items() if value is not None or fields[name].is_required()}

    def write(self, path: Path) -> None:
        """Write the document with one line for each key."""
        values = self.model_dump(mode="json")
        lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in values.items())
        path.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def read_document(kind: Type[T], path: Path) -> T:
    """Read a document; raise `DamagedError` if the file is not one of this kind."""
    try:
        return kind.model_validate_json(read_text(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DamagedError(path, f"{where + ': ' if where else ''}{first['msg']}") from None
