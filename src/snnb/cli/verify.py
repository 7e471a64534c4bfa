"""`snnb verify`: compare the hashes of all files with those in the manifest."""

from snnb.cli import output
from snnb.cli.parameters import ExistingRun, open_existing
from snnb.core.errors import VerificationError


def verify(run_dir: ExistingRun = None) -> None:
    """Run `snnb verify`."""
    console = output.current
    from snnb.results.verify import repairs, verify_run

    run = open_existing(run_dir)
    with console.bar("verify") as progress:
        check = verify_run(run, progress)
    for note in check.notes:
        console.say(note)
    for problem in check.problems:
        console.say(problem)
    if check.problems:
        commands = "; ".join(repairs(run, check.damaged))
        raise VerificationError(
            f"{run.path}: {len(check.problems)} of {check.files} files differ from the "
            f"manifest, first {check.problems[0]}; restore them from a copy, or recreate "
            f"them: {commands}"
        )
    size = f"{check.size_bytes / 1e6:,.1f} MB"
    line = f"{run.path}: {check.files} files, {size}, all match the manifest"
    console.result([line], check)
