"""Section of the page about the origin of the results.

Commands, parameters, files, versions, data set.
"""

import shlex
from typing import Dict, List, Optional, Tuple

from snnb.core.formatting import local_time
from snnb.report.page import Section, Table, settings_table
from snnb.rundir.directory import RunDirectory
from snnb.rundir.manifest import AnyRecord
from snnb.stages import prepare
from snnb.stages.stage import recorded
from snnb.stages.train import shown_params


def provenance_section(
    run: RunDirectory,
    stamp: Optional[str],
    graph: Optional[str],
    mapping_stamp: Optional[str],
) -> Section:
    """Return the section about the results shown, and about the data set.

    Version, licence and source.
    """
    names = {
        "prepare": None,
        "train": None,
        "parse": None,
        "simulate": stamp,
        "graph": graph,
        "map": mapping_stamp,
    }
    directories = [run.directory_of(stage, name) for stage, name in names.items()]
    records: Dict[str, AnyRecord] = {
        path: record for path, record in run.records().items() if path in directories
    }
    folded_tables: Dict[str, Table] = {}
    for directory, record in records.items():
        folded_tables[f"{directory}: provenance"] = Table(("", ""), _made(record))
        folded_tables[f"{directory}: parameters"] = settings_table(
            shown_params(run, record.params),
        )
        folded_tables[f"{directory}: files and their SHA-256"] = _files(record)
    rows = [
        (
            directory,
            local_time(record.timing.started_utc),
            f"{record.timing.wall_s:,.1f} s",
            shlex.join(record.command),
        )
        for directory, record in records.items()
    ]
    tables = [Table(("directory", "made", "took", "command"), rows, right=(2,))]
    preparation = recorded(run, prepare.STAGE)
    if preparation is not None:
        details = preparation.details
        origin = [
            ("name", details.dataset),
            ("version", details.version),
            ("licence", details.licence),
        ]
        origin += [
            ("source", details.source),
            ("classes", str(len(details.class_names))),
        ]
        origin += [
            (f"{name} samples", str(split.shape[0]))
            for name, split in details.splits.items()
        ]
        tables.append(Table(("data set", ""), origin))
    return Section("provenance", "Provenance", [], tables=tables, folded=folded_tables)


def _made(record: AnyRecord) -> List[Tuple[str, str]]:
    versions = [
        (name, str(value))
        for name, value in record.environment.model_dump().items()
        if value is not None
    ]
    return [
        ("command", shlex.join(record.command)),
        ("started (UTC)", record.timing.started_utc),
        ("took", f"{record.timing.wall_s:,.3f} s"),
        ("largest memory", f"{record.timing.peak_rss_bytes / 2**20:,.1f} MiB"),
        *versions,
        *(("warning", warning) for warning in record.warnings),
    ]


def _files(record: AnyRecord) -> Table:
    files = [
        *(("read", file) for file in record.inputs),
        *(("written", file) for file in record.outputs),
    ]
    rows = [
        (role, file.path, f"{file.size_bytes:,}", file.sha256) for role, file in files
    ]
    return Table(("", "file", "bytes", "SHA-256"), rows, right=(2,))
