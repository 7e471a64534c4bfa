"""Refuse environment variables that look like an option of a command but are none."""

import os
from difflib import get_close_matches

import click


def refuse_unknown_variables(context: click.Context) -> None:
    """Raise `click.UsageError` for a variable such as SNNB_TRAIN_EPOCH: the command `train` has no such option."""
    prefix = f"{context.auto_envvar_prefix}_"
    parameters = context.command.get_params(context)
    known = {(parameter.name or "").upper() for parameter in parameters if isinstance(parameter, click.Option)}
    for variable in sorted(os.environ):
        name = variable[len(prefix) :]
        if variable.startswith(prefix) and name not in known:
            near = get_close_matches(name, known, n=1)
            raise click.UsageError(
                f"the environment variable {variable} is no option of {context.info_name}; "
                + (f"did you mean {prefix}{near[0]}?" if near else "docs/cli.md lists them"),
                context,
            )
