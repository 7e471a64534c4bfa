"""`log.txt`: model, parameters and versions, for a person who uses the figures."""

from pathlib import Path
from typing import Sequence

from snnb.core.options import Options
from snnb.rundir.directory import RunDirectory
from snnb.rundir.versions import current_environment, now_utc


def write_log(path: Path, run: RunDirectory, params: Options, lines: Sequence[str], *, dated: bool = True) -> None:
    """Write model, parameters and versions, then the stage's own lines.

    Parameters
    ----------
    path : Path
    run : RunDirectory
    params : Options
        The parameters in force.
    lines : sequence of str
    dated : bool
        Whether the time stands in it; without it, equal results give equal bytes.
    """
    info, versions = run.manifest.run, current_environment().model_dump()
    head = [
        f"model       {info.model}",
        f"data set    {info.dataset}",
        *([f"written     {now_utc().isoformat(timespec='seconds')}"] if dated else []),
        f"parameters  {', '.join(f'{name}={value}' for name, value in params.model_dump().items())}",
        f"versions    {', '.join(f'{name} {value}' for name, value in versions.items() if value is not None)}",
    ]
    path.write_text("\n".join([*head, "", *lines, ""]), encoding="utf-8")
