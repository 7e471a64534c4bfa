"""Shared by all tests: TensorFlow says less, and no test sees the caller's own runs, data sets or options."""

import os
import signal
import sys
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec

import pytest
from hypothesis import settings
from matplotlib.figure import Figure
from platformdirs import user_cache_path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
# Before TensorFlow is imported: `tensorflow.keras` is that of snnb.model_files.keras.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
# The user's own, which the tests would otherwise not see, as they have another $XDG_CACHE_HOME.
os.environ.setdefault("NUMBA_CACHE_DIR", str(user_cache_path("snnb") / "numba"))
if (
    signal.getsignal(signal.SIGINT) == signal.SIG_IGN
):  # a shell starts its background jobs so; tests send Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


settings.register_profile(
    "gate", derandomize=True
)  # a gate judges the change, not the luck of the draw


def pytest_make_parametrize_id(val, argname):
    """Name a long text by its length: the name of a test stands in its environment and in every report of it."""
    return (
        f"{argname}-{len(val)}-long"
        if isinstance(val, (str, bytes)) and len(val) > 100
        else None
    )


def pytest_runtest_setup(item):
    """Skip what compares with the toolbox where that is not installed."""
    if item.get_closest_marker("toolbox") and find_spec("snntoolbox") is None:
        pytest.skip("needs snntoolbox, which is for Python 3.8")


@pytest.fixture(autouse=True)
def _no_settings_of_the_caller(monkeypatch, tmp_path_factory):
    for name in [name for name in os.environ if name.startswith("SNNB_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("COLUMNS", raising=False)  # which cuts what commands print
    monkeypatch.setenv("SNNB_DATA", str(tmp_path_factory.getbasetemp() / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


DRAWN = {"draw": Figure.draw, "tight_layout": Figure.tight_layout}


@contextmanager
def figures(methods):
    """Replace the methods of a figure that draw it."""
    with pytest.MonkeyPatch.context() as patches:
        for name, method in methods.items():
            patches.setattr(Figure, name, method)
        yield


@pytest.fixture(scope="session", autouse=True)
def _blank_figures():
    """Leave figures blank, in their size and format: to draw them takes more than half of the time of a command."""
    import_module(
        "snnb.io.figures"
    )  # matplotlib binds the method `draw` to a class when the class is made
    with figures({name: lambda *_: None for name in DRAWN}):
        yield


@pytest.fixture
def drawn_figures():
    """Draw figures in a test that looks into them."""
    with figures(DRAWN):
        yield


@pytest.fixture
def no_kahypar(monkeypatch):
    """Map without Mt-KaHyPar, which takes seconds."""
    monkeypatch.setitem(sys.modules, "mtkahypar", None)


@pytest.fixture(scope="session")
def dask_workers():
    """Dask client of two worker processes, which commands with `--workers 2` in this process use too."""
    pytest.importorskip("distributed")
    from snnb.cluster.connect import connected

    with connected(2, None) as client:
        yield client
