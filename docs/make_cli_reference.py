"""Write docs/cli.md and docs/schemas/ from the commands themselves; tests fail when they are old. By `make docs`."""

import json
from pathlib import Path
from typing import Dict, List

import typer
from click import Choice, Command, Context, Group, Option, Parameter

from snnb.cli.documents import DOCUMENTS, schema_of
from snnb.cli.main import commands

TARGET = Path(__file__).with_name("cli.md")
SCHEMAS = Path(__file__).with_name("schemas")
HEAD = """# Commands

Written by `make docs` from the commands themselves. Every option is also an environment variable, named in the table;
an option on the command line wins. A variable that begins with a command's name and is no option of it is refused.

With `--json` a command prints one JSON document on stdout. Below the options of each command are the document's keys
and its JSON schema (2020-12); a test holds what every command prints against it. A command that fails prints an object
with `error`, the line that is also on stderr, and `exit_code` instead.
"""


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
    """Return what is said of the document of `--json`: its keys, and where the whole schema is."""
    schema = schema_of(name)
    of = schema["$defs"][schema["items"]["$ref"].split("/")[-1]] if "items" in schema else schema
    keys = ", ".join(f"`{key}`" for key in of["properties"])
    many = "a list, each with" if "items" in schema else "an object with"
    return [f"\n`--json` prints {many} {keys}: [schema](schemas/{name}.json)."]


def schemas() -> Dict[str, str]:
    """Return the schema of every command that prints JSON, as text, by the name of its file."""
    return {f"{name}.json": json.dumps(schema_of(name), indent=1, ensure_ascii=False) + "\n" for name in DOCUMENTS}


def reference() -> str:
    group = typer.main.get_command(commands)
    assert isinstance(group, Group)
    return "\n".join([HEAD, *(line for name, c in group.commands.items() for line in section(name, c)), ""])


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
    SCHEMAS.mkdir(exist_ok=True)
    for old in SCHEMAS.glob("*.json"):
        old.unlink()
    for name, text in schemas().items():
        (SCHEMAS / name).write_text(text, encoding="utf-8")
