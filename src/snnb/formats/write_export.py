"""Write a graph in the format of another program."""

from pathlib import Path
from typing import List, Mapping, NamedTuple, Optional

from snnb.core.errors import UsageError
from snnb.core.options import option_name
from snnb.core.progress import Say, say_nothing
from snnb.formats.all import FORMATS
from snnb.formats.description import (
    DESCRIPTION,
    NODES_ENDING,
    describe,
    description_path,
    find_description,
    sibling,
)
from snnb.formats.export_options import ExportOptions
from snnb.formats.node_table import write_node_csv
from snnb.formats.request import DEFAULT_REQUEST, DEFAULTS, Format, Request
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.atomic import atomic_path
from snnb.io.files import raise_on_full_disk, refuse_foreign, refuse_link
from snnb.io.text import Document, write_json

ARCHITECTURE_ENDING = ".yaml"  # of a mapped export
# Names of the neurons if the format has no place for them: line n is node n
NAMES_ENDING = ".names.txt"


class Export(Document):
    """An export that has been written."""

    path: Path
    graph: Optional[str]  # stamp
    edges: int
    size_bytes: int
    format: str


def export(
    graph: SynapseGraph,
    format: str,
    target: Path,
    request: Request = DEFAULT_REQUEST,
    *,
    force: bool = False,
    origin: Optional[Mapping[str, str]] = None,
    say: Say = say_nothing,
) -> Export:
    """Write the graph in the format of another program.

    The file or directory `target` appears when it is complete. `force` replaces a file,
    or a directory that an export has made. `origin` is the stamp of the graph and the
    SHA-256 of its file; without it, a file without a table of nodes has no description
    `NAME.json`.
    """
    if target.name in ("", ".."):
        raise UsageError(
            f"--output {str(target)!r} is not a file name; give the path of a file or "
            "directory"
        )
    exporter = find_format(format)
    refuse_foreign_options(format, request.options)
    has_node_table = not exporter.directory and (
        exporter.nodes_file or origin is not None
    )
    has_labels = graph.names is not None and not (
        exporter.directory or exporter.nodes_file or exporter.has_names
    )
    files = _find_files_beside(
        target,
        {
            # The first: it lets `--force` replace the others
            description_path(target): has_node_table,
            sibling(target, NODES_ENDING): exporter.nodes_file,
            sibling(target, ARCHITECTURE_ENDING): request.on_cores is not None,
            sibling(target, NAMES_ENDING): has_labels,
        },
    )
    graph = _adapt_graph(graph, format, exporter, request)
    warning = None if exporter.check is None else exporter.check(graph, request)
    if warning is not None:
        say(f"export: {warning}")
    description = describe(graph, format, exporter, request, origin)
    atomic = atomic_path(
        target,
        force=force,
        companions=files.to_write,
        outdated=files.outdated,
        say=say,
    )
    with atomic as temporary, raise_on_full_disk(temporary.parent):
        exporter.write(graph, temporary, request)
        if exporter.directory:
            names = sorted(entry.name for entry in temporary.iterdir())
            write_json(temporary / DESCRIPTION, {**description, "files": names})
        if exporter.nodes_file:
            write_node_csv(sibling(temporary, NODES_ENDING), graph.populations)
        if request.on_cores is not None:
            sibling(temporary, ARCHITECTURE_ENDING).write_text(
                request.on_cores.architecture, encoding="utf-8"
            )
        if has_labels:
            part = exporter.part_of(graph, request)
            labels = (graph.names or [])[part.first : part.first + part.nodes]
            sibling(temporary, NAMES_ENDING).write_text(
                "".join(f"{label}\n" for label in labels), encoding="utf-8"
            )
        if has_node_table:
            write_json(description_path(temporary), description)
    paths = target.iterdir() if exporter.directory else [target]
    return Export(
        path=target,
        graph=(origin or {}).get("stamp"),
        edges=description["edges"],
        size_bytes=sum(path.stat().st_size for path in paths),
        format=format,
    )


class _FilesBeside(NamedTuple):
    """The files beside an export, of which the first is its description."""

    to_write: List[Path]
    outdated: List[Path]  # of the export that is replaced


def _find_files_beside(target: Path, siblings: Mapping[Path, bool]) -> _FilesBeside:
    """Return which files beside an export are written, and which become outdated.

    `siblings` are all files that may be there, and whether this export writes them.
    Raise an error if one of them, or `target`, was not made by an export.
    """
    to_write = [path for path, is_written in siblings.items() if is_written]
    is_exported = find_description(description_path(target)) is not None
    content = find_description(target / DESCRIPTION)
    refuse_link(target)
    if target.is_dir():
        refuse_foreign(
            target, () if content is None else (*(content.files or ()), DESCRIPTION)
        )
    if not is_exported:
        for path in to_write:
            refuse_foreign(path)
    outdated: List[Path] = []
    if is_exported and target.exists():
        outdated = [path for path in siblings if path not in to_write]
    return _FilesBeside(to_write, outdated)


def _adapt_graph(
    graph: SynapseGraph, format: str, exporter: Format, request: Request
) -> SynapseGraph:
    """Return the graph with the weights that a format states.

    Raise `UsageError` if populations have firing windows, which a program that
    simulates the graph needs and the format cannot state.
    """
    if request.options.integers:
        graph = graph.with_integers()
    if not exporter.simulates:
        return graph
    graph = graph.with_pool_weight("mean")
    if format != "sonata" and any(p.window is not None for p in graph.populations):
        raise UsageError(
            f"format {format} cannot state firing windows of populations: use sonata, "
            "whose description has them, or a network converted with --firing free"
        )
    return graph


def find_format(name: str) -> Format:
    """Return a format by name; raise `UsageError` if it is unknown."""
    if name not in FORMATS:
        raise UsageError(f"format {name!r} is unknown; use one of {', '.join(FORMATS)}")
    return FORMATS[name]


def refuse_foreign_options(format: str, options: ExportOptions) -> None:
    """Raise `UsageError` for an option that only other formats have."""
    for name in ExportOptions.model_fields:
        having = [
            format_name
            for format_name, exporter in FORMATS.items()
            if name in exporter.own_options
        ]
        if (
            having
            and format not in having
            and getattr(options, name) != getattr(DEFAULTS, name)
        ):
            option = option_name(ExportOptions, name)
            raise UsageError(
                f"{option} applies to --format {', '.join(having)}, not to {format}; "
                "omit it"
            )
