"""Write docs/cli.md from the commands (`make docs`), or with `--schemas` their JSON schemas (`make site`).

The schemas, in docs/schemas/, are not in the repository. A test fails when docs/cli.md is out of date.
"""

import json
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

import typer
from click import Choice, Command, Context, Group, Option, Parameter
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from snnb.architectures.registry import ModelRow
from snnb.cli.doctor import Machine
from snnb.cli.main import commands
from snnb.datasets.definition import DatasetRow
from snnb.formats.write_export import Export
from snnb.instances.known_instances import Instance
from snnb.mapping.hardware import HardwareRow
from snnb.results.compare import Comparison
from snnb.results.crosscheck import Crosscheck
from snnb.results.remove import Removal
from snnb.results.report import ReportFile
from snnb.results.status import Status
from snnb.results.sweep import Sweep
from snnb.results.verify import Verification
from snnb.stages.all import STAGES
from snnb.stages.plan import RunDocument, StagesDocument

TARGET = Path(__file__).with_name("cli.md")
SCHEMAS = Path(__file__).with_name("schemas")
DOCUMENTS: Dict[str, Any] = {  # printed by each command with `--json`
    **dict.fromkeys(STAGES, StagesDocument),
    "run": RunDocument,
    "models": List[ModelRow],
    "datasets": List[DatasetRow],
    "hardware": List[HardwareRow],
    "instances": List[Instance],
    "status": Status,
    "verify": Verification,
    "report": ReportFile,
    "compare": Comparison,
    "sweep": Sweep,
    "export": Export,
    "crosscheck": Crosscheck,
    "remove": Removal,
    "doctor": Machine,
}
HEAD = """# Commands

`snnb COMMAND --help` prints the options of a command. Print the result of a command as JSON:

```
snnb hardware --json
```

```text
[
  {
    "name": "spinemap_5x5",
    "mesh": [
      5,
      5
    ],
…
```

Written by `make docs` from the commands. Each option is also an environment variable, named in the table; an option on
the command line wins. A variable that begins with a command's name and is not an option of it is refused.

With `--json` a command prints one JSON document on stdout, whose keys are listed below the options of the command.
`make site` writes the JSON schemas (2020-12) of these documents to `site/schemas/COMMAND.json`. A command that fails
prints an object with `error`, the line that is also on stderr, and `exit_code` instead.
"""


class _Schema(GenerateJsonSchema):
    """Schemas by the fields, though serializers of models leave some of them out where they are None."""

    def ser_schema(self, schema: Any) -> Optional[JsonSchemaValue]:
        return None if schema["type"] == "function-wrap" else super().ser_schema(schema)


def schema_of(command: str) -> Dict[str, Any]:
    """Return the JSON schema of the output of a command with `--json` when it succeeds."""
    schema = TypeAdapter(DOCUMENTS[command]).json_schema(mode="serialization", schema_generator=_Schema)
    return {**schema, "title": f"Output of `snnb {command} --json`"}


def spelling(parameter: Parameter) -> str:
    if not isinstance(parameter, Option):
        return parameter.name.upper()
    names = ", ".join(f"`{name}`" for name in sorted(parameter.opts, key=len))
    if isinstance(parameter.type, Choice):
        return f"{names} {', '.join(parameter.type.choices)}"
    return names if parameter.is_flag else f"{names} {parameter.type.name}"


def variable(command: str, parameter: Parameter) -> str:
    if not isinstance(parameter, Option):
        return ""
    own = parameter.envvar or f"SNNB_{command}_{parameter.name}".upper()
    return f"`{own}`"


def section(name: str, command: Command) -> List[str]:
    context = Context(command, info_name=name)
    rows = [
        f"| {spelling(p)} | {variable(name, p)} | {getattr(p, 'help', None) or ''} |"
        for p in command.get_params(context)
        if p.name != "help" and not (isinstance(p, Option) and p.hidden)
    ]
    head = [f"\n## snnb {name}\n", f"{command.help}\n", "| option | variable | meaning |", "|---|---|---|", *rows]
    return [*head, *(printed(name) if any(p.name == "json" for p in command.params) else [])]


def printed(name: str) -> List[str]:
    """Return the sentence that lists the keys of the document of `--json`."""
    schema = schema_of(name)
    of = schema["$defs"][schema["items"]["$ref"].split("/")[-1]] if "items" in schema else schema
    keys = ", ".join(f"`{key}`" for key in of["properties"])
    return [f"\n`--json` prints {'a list, each with' if 'items' in schema else 'an object with'} {keys}."]


def reference() -> str:
    group = typer.main.get_command(commands)
    assert isinstance(group, Group)
    return "\n".join([HEAD, *(line for name, c in group.commands.items() for line in section(name, c)), ""])


if __name__ == "__main__":
    if "--schemas" in sys.argv:
        SCHEMAS.mkdir(exist_ok=True)
        for name in DOCUMENTS:
            text = json.dumps(schema_of(name), indent=1, ensure_ascii=False)
            (SCHEMAS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    else:
        TARGET.write_text(reference(), encoding="utf-8")
