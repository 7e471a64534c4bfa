"""The run that a command works on: its first argument, or `--run-dir`."""

import os

import click
from click.core import ParameterSource
from typer.core import TyperArgument

from snnb.cli.parameters import SomePath

RUN_DIR, _ARGUMENT, _FORMER = "run_dir", "run", "former_run_dir"


def run_argument() -> TyperArgument:
    """Return the argument of every command with the option `--run-dir`; its help stands at that option only."""
    words = "Run directory; the same as --run-dir."
    return TyperArgument(param_decls=[_ARGUMENT], required=False, type=SomePath(), help=words, hidden=True)


def take_run(context: click.Context) -> None:
    """Give the command the run as `run_dir`, however it was given; raise `click.UsageError` where two are given."""
    given = {}
    for name in (_ARGUMENT, RUN_DIR, _FORMER):
        if context.params.get(name) is not None:
            given[name] = context.params[name]
    if len(given) > 1 and context.get_parameter_source(RUN_DIR) is ParameterSource.ENVIRONMENT:
        del given[RUN_DIR]  # what is typed wins
    if len({os.path.abspath(path) for path in given.values()}) > 1:  # noqa: PTH100 - a link is not followed
        raise click.UsageError(f"two runs are given, {' and '.join(map(str, given.values()))}; give one", context)
    context.params.pop(_ARGUMENT, None)
    if given:
        context.params[RUN_DIR] = next(iter(given.values()))
