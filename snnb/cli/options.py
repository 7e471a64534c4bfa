"""Options that several commands share, and how a stage's own options become a command."""

import inspect
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import click
import typer
from typing_extensions import Annotated

Model = Annotated[
    Optional[str],
    typer.Option(
        help="Name of a model (`snnb models` lists them), path/file.py:function, or path/model.h5.", show_default=False
    ),
]
Dataset = Annotated[
    Optional[str],
    typer.Option(help="Data set (`snnb datasets` lists them); a model of the package has its own.", show_default=False),
]


class SomePath(click.ParamType):
    """A path that is not the empty text, which a shell makes of a variable that is not set."""

    name = "path"

    def convert(self, value: Any, parameter: Optional[click.Parameter], context: Optional[click.Context]) -> Path:
        """Make it a `Path`."""
        if not str(value) or "\0" in str(value):
            self.fail("is empty; give a path", parameter, context)
        return Path(value)


RunDir = Annotated[
    Optional[Path],
    typer.Option(
        help="Run directory; $SNNB_RUNS/MODEL or runs/MODEL when left out.",
        click_type=SomePath(),
        show_default=False,
    ),
]
Directory = Annotated[Path, typer.Argument(help="A run directory.", click_type=SomePath(), show_default=False)]
Source = Annotated[
    Optional[Path],
    typer.Option(resolve_path=True, help="Folder with the data set's own files, instead of a download."),
]
DataDir = Annotated[
    Optional[Path],
    typer.Option(envvar="SNNB_DATA", help="Where data sets are kept; the user's cache when left out."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print debug messages and tracebacks.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but results and errors.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Fail when another process works on the run.")]
Force = Annotated[bool, typer.Option("--force", help="Run again although up to date.")]
NoUpstream = Annotated[bool, typer.Option("--no-upstream", help="Fail when an earlier stage has to run first.")]


def stage_options(declaration: Callable[..., None]) -> List[inspect.Parameter]:
    """The options that a stage's file declares as the signature of a function."""
    return list(inspect.signature(declaration).parameters.values())


def as_command(
    name: str, text: Optional[str], parameters: List[inspect.Parameter], call: Callable[..., None]
) -> Callable[..., None]:
    """A function with the signature that typer turns into a command; options left out are not handed on."""

    def command(**values: Any) -> None:
        call(**values)

    command.__name__ = name
    command.__doc__ = text
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def chosen(values: Dict[str, Any], names: List[str]) -> Dict[str, Any]:
    """The options among `names` that were given."""
    return {name: values[name] for name in names if values.get(name) not in (None, [])}
