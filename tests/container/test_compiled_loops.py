"""The loops that docker/compile-loops has compiled: new containers compile none."""

import re

import pytest

from snnb.core.compiled import processor_levels

pytestmark = [
    pytest.mark.container,
    pytest.mark.parametrize("target", ["cpu", "gpu", "today"]),
    pytest.mark.skipif(
        not processor_levels()[1:],
        reason="the images have machine code for x86-64-v3 and -v4",
    ),
]
COUNTED = """
from numba.core.event import RecordingListener, register
from snnb.cli.main import main
compilations = RecordingListener()
register("numba:compile", compilations)
code = main()
print("compilations:", sum(event.is_start for _, event in compilations.buffer))
raise SystemExit(code)
"""


def test_new_containers_compile_nothing(confined_output, runs):
    run = ("--run-dir", "mini_network", "--no-upstream")
    options = ("--volume", f"{runs}:/runs", "--env", "NUMBA_DEBUG_CACHE=1")
    confined_output("parse", "--model", "mini_network", options=options)
    for command in (
        ("simulate", *run),
        ("graph", *run),
        ("map", *run, "--hardware", "spinemap_5x5"),
    ):
        output = confined_output(
            "-c", COUNTED, *command, entrypoint="python", options=options
        )
        assert "data loaded from '/tmp/.cache/snnb/numba/" in output
        assert re.findall(r"^compilations: (\d+)$", output, re.MULTILINE) == ["0"], (
            output
        )
