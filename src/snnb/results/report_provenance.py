"""How the results that a report shows were made: every parameter, command, version and hash, from the manifest."""

import shlex
from typing import Dict, List, Mapping, Tuple

from snnb.core.formatting import local_time
from snnb.io.text import JsonValue
from snnb.pipeline.train import shown_params
from snnb.report.page import Section, Table, settings_table
from snnb.rundir.directory import RunDirectory
from snnb.rundir.records import AnyRecord


def provenance_section(run: RunDirectory, records: Mapping[str, AnyRecord], origin: Mapping[str, JsonValue]) -> Section:
    """Return the section of results by directory, and of the data set: its version, licence and source."""
    folded: Dict[str, Table] = {}
    for directory, record in records.items():
        folded[f"{directory}: how it was made"] = Table(("", ""), _made(record))
        folded[f"{directory}: parameters"] = settings_table(shown_params(run, record.params))
        folded[f"{directory}: files and their SHA-256"] = _files(record)
    rows = [
        (directory, local_time(record.timing.started_utc), f"{record.timing.wall_s:,.1f} s", shlex.join(record.command))
        for directory, record in records.items()
    ]
    tables = [Table(("directory", "made", "took", "command"), rows, right=(2,))]
    if origin:
        tables.append(Table(("data set", ""), list(origin.items())))
    return Section("provenance", "How it was made", [], tables=tables, folded=folded)


def _made(record: AnyRecord) -> List[Tuple[str, str]]:
    versions = [(name, str(value)) for name, value in record.environment.model_dump().items() if value is not None]
    return [
        ("command", shlex.join(record.command)),
        ("started (UTC)", record.timing.started_utc),
        ("took", f"{record.timing.wall_s:,.3f} s"),
        ("largest memory", f"{record.timing.peak_rss_bytes / 2**20:,.1f} MiB"),
        *versions,
        *(("warning", warning) for warning in record.warnings),
    ]


def _files(record: AnyRecord) -> Table:
    files = [*(("read", file) for file in record.inputs), *(("written", file) for file in record.outputs)]
    rows = [(role, file.path, f"{file.size_bytes:,}", file.sha256) for role, file in files]
    return Table(("", "file", "bytes", "SHA-256"), rows, right=(2,))
