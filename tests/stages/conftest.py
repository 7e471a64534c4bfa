"""The recorded run that the tests of the stages start from."""

from tests.end_to_end.conftest import recorded_run, run, snnb

__all__ = ["recorded_run", "run", "snnb"]
