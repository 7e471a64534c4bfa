"""A Dask scheduler and workers as somebody else would start them."""

import pytest

from tests.cluster.processes import Scheduler


@pytest.fixture
def scheduler(tmp_path):
    with Scheduler(tmp_path) as started:
        yield started
