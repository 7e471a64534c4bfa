"""The help of a command: options in panels, examples below, environment variables only in docs/cli.md."""

import os
from copy import copy
from difflib import get_close_matches
from typing import Any, Dict, List, Optional, Sequence

import click
from typer.core import TyperCommand, TyperOption

from snnb.cli import output
from snnb.cli.parameters import RUN_DIR, output_options, run_argument, take_run
from snnb.pipeline.all import CHAIN, STAGES

COMMON = "Common"
_COMMON = ("force", "defaults", "no_upstream", "no_wait", "yes", "json", "verbose", "quiet", "help")
_WHERE, _WHERE_FROM = "Where", ("run_dir", "source", "data_dir", "output_path")
_FIRST_OF_SWEEP = ("grid", "model", "dataset", "run_dir", "samples", "duration", "workers", "scheduler")
_FIRST_OF_RUN = (
    "model", "dataset", "run_dir", "epochs", "percentile", "samples", "duration", "engine", "input", "seed",
)  # fmt: skip
EXAMPLES: Dict[str, Sequence[str]] = {
    "prepare": ("snnb prepare --model lenet_mnist", "snnb prepare --model lenet_cifar10 --source ~/cifar --limit 1000"),
    "train": ("snnb train --model lenet_mnist --epochs 5", "snnb train runs/lenet_mnist --set dropout=0.3"),
    "parse": ("snnb parse --model lenet_mnist", "snnb parse runs/lenet_mnist --percentile 99"),
    "simulate": (
        "snnb simulate --model lenet_mnist --samples 100 --duration 50",
        "snnb simulate runs/lenet_mnist --input poisson --input-rate 200",
    ),
    "graph": ("snnb graph --model lenet_mnist", "snnb graph runs/lenet_mnist --pool-weight one"),
    "map": (
        "snnb map runs/lenet_mnist --hardware loihi",
        "snnb map runs/lenet_mnist --hardware my_chip.yaml --partition cores.txt",
    ),
    "run": ("snnb run --model mini_network", "snnb run --model lenet_mnist --epochs 5 --samples 200 --duration 100"),
    "sweep": (
        "snnb sweep --model lenet_mnist --grid percentile=99,99.9 --grid duration=50,100,200",
        "snnb sweep --model lenet_mnist --input poisson --grid seed=0,1,2 --workers 2",
    ),
    "export": (
        "snnb export runs/lenet_mnist --format hmetis --output lenet.hgr",
        "snnb export runs/lenet_mnist --format csv",
    ),
    "status": ("snnb status runs/lenet_mnist", "snnb status runs/lenet_mnist --json"),
    "report": ("snnb report runs/lenet_mnist", "snnb report runs/lenet_mnist --output lenet.html"),
    "compare": ("snnb compare runs/lenet_mnist", "snnb compare runs/lenet_mnist runs/lenet_cifar10 --figure both.svg"),
    "crosscheck": (
        "snnb crosscheck runs/lenet_mnist --with scipy",
        "snnb crosscheck runs/lenet_mnist --with sanafe --map 20260101T000000Z",
    ),
    "remove": ("snnb remove runs/lenet_mnist 20260102T030405Z", "snnb remove runs/lenet_mnist 20260102T030405Z --yes"),
    "verify": ("snnb verify runs/lenet_mnist", "snnb verify runs/lenet_mnist --json"),
}


class HelpfulCommand(TyperCommand):
    """A command whose help has panels and examples."""

    def __init__(self, *arguments: Any, **words: Any) -> None:
        super().__init__(*arguments, **words)
        self.params += output_options()
        examples = EXAMPLES.get(self.name or "", ())
        if examples:  # typer joins lines that are not separated by a blank line
            self.epilog = "\n\n".join(["Examples:", *(f"  {line}" for line in examples)])
        for parameter in self.params:
            if isinstance(parameter, TyperOption):
                parameter.show_envvar = False
                parameter.rich_help_panel = _panel(self.name or "", parameter.name or "") or parameter.rich_help_panel
        if any(parameter.name == RUN_DIR for parameter in self.params):
            self.params.insert(0, run_argument())

    def parse_args(self, context: click.Context, arguments: List[str]) -> List[str]:
        """Read the options; refuse environment variables of options that the command does not have."""
        left = super().parse_args(context, arguments)
        output.configure(*(context.params.pop(name) for name in ("json", "verbose", "quiet")))
        take_run(context)
        if not context.resilient_parsing:
            _refuse_unknown_variables(context)
        return left

    def format_help(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help, with `--[no-]flag` for a flag and its opposite, which otherwise take two wide columns."""
        params = self.params
        self.params = [_joined(parameter) for parameter in params]
        try:
            super().format_help(context, formatter)
        finally:
            self.params = params

    def get_help_option(self, context: click.Context) -> Optional[click.Option]:
        """Return the option `--help`, in the panel of the options of all commands."""
        option = super().get_help_option(context)
        if option is not None:
            option.rich_help_panel = COMMON  # type: ignore[attr-defined]
        return option


def _joined(parameter: click.Parameter) -> click.Parameter:
    if not parameter.secondary_opts:
        return parameter
    shown = copy(parameter)
    shown.opts, shown.secondary_opts = [f"--[no-]{parameter.opts[0][2:]}"], []
    return shown


def _panel(command: str, option: str) -> Optional[str]:
    """Return the title of the panel of an option; None for the first panel."""
    first = {"run": _FIRST_OF_RUN, "sweep": _FIRST_OF_SWEEP}.get(command)
    if first is not None and option in first:
        return None
    if option in _COMMON:
        return COMMON
    if command in STAGES and option in _WHERE_FROM:
        return _WHERE
    if first is not None:
        return next(
            (f"Options of {stage}" for stage in CHAIN if option in STAGES[stage].kind.params.model_fields), None
        )
    return None


def _refuse_unknown_variables(context: click.Context) -> None:
    """Raise `click.UsageError` for a variable such as SNNB_TRAIN_EPOCH: the command `train` has no such option."""
    prefix = f"{context.auto_envvar_prefix}_"
    parameters = context.command.get_params(context)
    known = {(parameter.name or "").upper() for parameter in parameters if isinstance(parameter, click.Option)}
    for variable in sorted(os.environ):
        name = variable[len(prefix) :]
        if variable.startswith(prefix) and name not in known:
            near = get_close_matches(name, known, n=1)
            raise click.UsageError(
                f"the environment variable {variable} is not an option of {context.info_name}; "
                + (f"did you mean {prefix}{near[0]}?" if near else "docs/cli.md lists them"),
                context,
            )
