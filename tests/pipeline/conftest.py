"""The recorded run that the pipeline tests start from."""

from tests.end_to_end.conftest import recorded, run, snnb

__all__ = ["recorded", "run", "snnb"]
