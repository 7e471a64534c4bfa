"""Write docs/cli.md from the commands themselves; a test fails when the file is old. Run by `make docs`."""

from pathlib import Path
from typing import List

import typer
from click import Choice, Command, Context, Group, Option, Parameter

from snnb.cli.main import commands

TARGET = Path(__file__).with_name("cli.md")
HEAD = """# Commands

Written by `make docs` from the commands themselves. Every option is also an environment variable, named in the table;
an option on the command line wins.
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
        if p.name != "help"
    ]
    return [f"\n## snnb {name}\n", f"{command.help}\n", "| option | variable | meaning |", "|---|---|---|", *rows]


def reference() -> str:
    group = typer.main.get_command(commands)
    assert isinstance(group, Group)
    return "\n".join([HEAD, *(line for name, c in group.commands.items() for line in section(name, c)), ""])


if __name__ == "__main__":
    TARGET.write_text(reference())
