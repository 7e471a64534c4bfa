import importlib.util
import os
import sys
from functools import partial

import numpy as np
import pytest

from snnb.compiled import compiled

CALLED = "from snnb.compiled import compiled\n\n\n@compiled\ndef add(a, b):\n    return a {sign} b\n"
CALLING = (
    "from called_by_test import add\nfrom snnb.compiled import compiled\n\n\n"
    "@compiled\ndef total(values):\n    found = 0\n    for value in values:\n"
    "        found = add(found, value)\n    return found\n"
)


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Import `total` anew from a folder of two files, one of which the other calls."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def module(sign):
        for name, text in (("called_by_test", CALLED.format(sign=sign)), ("calling_by_test", CALLING)):
            path = tmp_path / f"{name}.py"
            if not path.exists() or path.read_text() != text:
                path.write_text(text)
        for name in ("called_by_test", "calling_by_test"):
            spec = importlib.util.spec_from_file_location(name, tmp_path / f"{name}.py")
            monkeypatch.setitem(sys.modules, name, importlib.util.module_from_spec(spec))
            spec.loader.exec_module(sys.modules[name])
        return sys.modules["calling_by_test"].total

    return module


def _from_disk(function):
    return sum(function.stats.cache_hits.values())


def test_machine_code_is_kept_until_a_file_of_the_folder_changes(load):
    values = np.arange(1, 5)
    assert load("+")(values) == 10
    again = load("+")
    assert again(values) == 10
    assert _from_disk(again) == 1
    changed = load("*")  # only the file of the called function
    assert changed(values) == 0
    assert _from_disk(changed) == 0


def test_other_files_can_be_named(tmp_path):
    for name in ("b.py", "a.py"):
        (tmp_path / name).write_text("")
    os.utime(tmp_path / "a.py", ns=(5, 7))

    @partial(compiled, files=[tmp_path / "b.py", tmp_path / "a.py"])
    def double(x):
        return 2 * x

    assert double(4) == 8
    stamp = double._cache._cache_file._source_stamp
    assert [name for name, *_ in stamp] == ["a.py", "b.py"]
    assert stamp[0] == ("a.py", 7, 0)


def test_where_nothing_can_be_kept_the_function_is_compiled_all_the_same():
    names = {}
    exec("def half(x):\n    return x / 2", names)  # a function without a file, for which numba finds no folder
    assert compiled(names["half"])(3) == 1.5


def test_division_by_zero_gives_what_numpy_gives():
    @compiled
    def ratio(a, b):
        return a / b

    assert ratio(1.0, 0.0) == np.inf
