"""The graphs of tests/graph."""

from tests.graph.conftest import *  # noqa: F403
