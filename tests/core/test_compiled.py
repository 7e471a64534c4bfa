import importlib
import shutil
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from snnb.core import compiled as compiled_module
from snnb.core.compiled import compiled
from snnb.core.progress import compilation

CALLED = "from snnb.core.compiled import compiled\n\n\n@compiled\ndef add(a, b):\n    return a {sign} b\n"
CALLING = (
    "from loops.called import add\nfrom snnb.core.compiled import compiled\n\n\n"
    "@compiled\ndef total(values):\n    found = 0\n    for value in values:\n"
    "        found = add(found, value)\n    return found\n"
)


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Import `total` again from a package of two files, one of which calls the other; each copy in its own folder."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def module(folder, sign):
        package = tmp_path / folder / "loops"
        shutil.rmtree(package, ignore_errors=True)
        package.mkdir(parents=True)
        for name, text in (("__init__", ""), ("called", CALLED.format(sign=sign)), ("calling", CALLING)):
            (package / f"{name}.py").write_text(text)
        for name in ("loops.calling", "loops.called", "loops"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.setattr(sys, "path", [str(package.parent), *sys.path])
        importlib.invalidate_caches()
        compiled_module._digest.cache_clear()
        compiled_module._imported.cache_clear()
        found = importlib.import_module("loops.calling").total
        monkeypatch.setattr(sys, "path", sys.path[1:])
        return found

    return module


def _from_disk(function):
    return sum(function.stats.cache_hits.values())


def test_machine_code_is_cached_by_the_content_of_the_file_and_of_those_it_imports(load):
    values = np.arange(1, 5)
    assert load("one", "+")(values) == 10
    clone = load("two", "+")  # another folder, other times
    assert clone(values) == 10
    assert _from_disk(clone) == 1
    changed = load("two", "*")  # only the file of the called function
    assert changed(values) == 0
    assert _from_disk(changed) == 0
    back = load("two", "+")
    assert back(values) == 10
    assert _from_disk(back) == 1


def test_compilation_is_reported_and_loading_from_disk_is_not(load, monkeypatch):
    shown = []
    monkeypatch.setattr(compilation, "show", shown.append)
    before = compilation.seconds
    load("one", "+")(np.arange(3))
    assert shown == ["compiling (once per machine)", ""]  # once, though `total` compiles `add`
    spent = compilation.seconds - before
    assert spent > 0
    load("one", "+")(np.arange(3))
    assert len(shown) == 2
    assert compilation.seconds - before == spent


def test_where_nothing_can_be_cached_the_function_is_compiled_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file" / "below"))  # which not even root can make

    @compiled
    def third(x):
        return x / 3

    assert third(3.0) == 1.0
    assert type(third._cache).__name__ == "NullCache"


def test_division_by_zero_gives_what_numpy_gives():
    @compiled
    def ratio(a, b):
        return a / b

    assert ratio(1.0, 0.0) == np.inf


def test_the_cache_is_shared_by_all_copies_of_the_package_unless_a_directory_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def name(directory):
        monkeypatch.setattr(numba.config, "CACHE_DIR", directory)

        def same(x):
            return x

        return str(Path(compiled(same)._cache.cache_path).parent)

    assert name("") == str(tmp_path / "snnb" / "numba")
    assert name(str(tmp_path / "named")) == str(tmp_path / "named")
