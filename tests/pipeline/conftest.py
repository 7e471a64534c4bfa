"""The recorded run that the pipeline tests start from, here used through Python."""

from tests.end_to_end.conftest import recorded, run

__all__ = ["recorded", "run"]
