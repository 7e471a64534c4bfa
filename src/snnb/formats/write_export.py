"""Write a graph in the format of another program."""

from pathlib import Path
from typing import Mapping, Optional

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
from snnb.io.files import atomic_path, raise_on_full_disk, refuse_foreign, refuse_link
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
    """Write the graph in the format of another program; the file or directory `target` appears when it is complete.

    `force` replaces a file, or a directory that an export has made. `origin` is the
    stamp of the graph and the SHA-256 of its file; without it, a file without a table
    of nodes has no description `NAME.json`.
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
    siblings = {
        description_path(
            target
        ): has_node_table,  # the first: it lets `--force` replace the others
        sibling(target, NODES_ENDING): exporter.nodes_file,
        sibling(target, ARCHITECTURE_ENDING): request.on_cores is not None,
        sibling(target, NAMES_ENDING): has_labels,
    }
    written = [path for path, is_written in siblings.items() if is_written]
    is_exported = find_description(description_path(target)) is not None
    content = find_description(target / DESCRIPTION)
    refuse_link(target)
    if target.is_dir():
        refuse_foreign(
            target, () if content is None else (*(content.files or ()), DESCRIPTION)
        )
    for path in () if is_exported else written:
        refuse_foreign(path)
    outdated_files = [
        path
        for path in siblings
        if is_exported and target.exists() and path not in written
    ]
    if request.options.integers:
        graph = graph.with_integers()
    if exporter.simulates:
        graph = graph.with_pool_weight("mean")
    if (
        exporter.simulates
        and format != "sonata"
        and any(p.window is not None for p in graph.populations)
    ):
        raise UsageError(
            f"format {format} cannot state firing windows of populations: use sonata, "
            "whose description has them, or a network converted with --firing free"
        )
    warning = None if exporter.check is None else exporter.check(graph, request)
    if warning is not None:
        say(f"export: {warning}")
    description = describe(graph, format, exporter, request, origin)
    atomic = atomic_path(
        target, force=force, companions=written, outdated_names=outdated_files
    )
    with atomic as temporary, raise_on_full_disk(temporary.parent):
        exporter.write(graph, temporary, request)
        if exporter.directory:
            files = sorted(entry.name for entry in temporary.iterdir())
            write_json(temporary / DESCRIPTION, {**description, "files": files})
        if exporter.nodes_file:
            write_node_csv(sibling(temporary, NODES_ENDING), graph.populations)
        if request.on_cores is not None:
            architecture = request.on_cores.architecture
            sibling(temporary, ARCHITECTURE_ENDING).write_text(
                architecture, encoding="utf-8"
            )
        if has_labels:
            part = exporter.part_of(graph, request)
            labels = (graph.names or [])[part.first : part.first + part.nodes]
            sibling(temporary, NAMES_ENDING).write_text(
                "".join(f"{label}\n" for label in labels), encoding="utf-8"
            )
        if has_node_table:
            write_json(description_path(temporary), description)
    size_bytes = sum(
        path.stat().st_size
        for path in (target.iterdir() if exporter.directory else [target])
    )
    stamp, edges = (origin or {}).get("stamp"), description["edges"]
    return Export(
        path=target, graph=stamp, edges=edges, size_bytes=size_bytes, format=format
    )


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
