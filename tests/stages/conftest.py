"""The recorded run that the pipeline tests start from, here used through Python."""

from tests.pipeline.conftest import recorded, run

__all__ = ["recorded", "run"]
