import importlib
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.registry import cpu_target

import snnb
from snnb.core import compiled as compiled_module
from snnb.core.compiled import compiled, processor_levels
from snnb.core.progress import compilation

LOOPS = (
    "from snnb.core.compiled import compiled\n\n\n@compiled\ndef add(a, b):\n    return a + b\n\n\n"
    "@compiled\ndef total(values):\n    found = 0\n    for value in values:\n"
    "        found = add(found, value)\n    return found\n"
)
VALUES = np.arange(1, 5)
LOADER = "/lib64/ld-linux-x86-64.so.2"


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Import `total` anew, as another process does."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(tmp_path)

    file = tmp_path / "loops_of_a_test.py"
    file.write_text(LOOPS)

    def function():
        monkeypatch.delitem(sys.modules, file.stem, raising=False)
        importlib.invalidate_caches()
        compiled_module._digest.cache_clear()
        return importlib.import_module(file.stem).total

    return function


def _from_disk(function):
    return sum(function.stats.cache_hits.values())


PARTS = {
    "part_of_a_test": "WIDTH = 3\n",
    "function_of_a_test": "from snnb.core.compiled import inner\n\n\n@inner\ndef apply(a, b):\n    return a + b\n",
    "loop_of_a_test": "from snnb.core.compiled import compiled\nfrom snnb.function_of_a_test import (\n    apply,\n)\n"
    "from snnb.part_of_a_test import WIDTH\n\n\n@compiled\ndef result(a):\n    return apply(a, WIDTH)\n",
}


def test_machine_code_is_loaded_until_a_file_changes_from_which_its_functions_or_constants_come(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(snnb, "__path__", [*snnb.__path__, str(tmp_path)])

    def load_function(**changes):
        """Import the files as another process does, each with the times that it had before."""
        for name, source in PARTS.items():
            file = tmp_path / f"{name}.py"
            file.write_text(source.replace(*changes.get(name, ("", ""))))
            os.utime(file, (1e9, 1e9))
            monkeypatch.delitem(sys.modules, f"snnb.{name}", raising=False)
        importlib.invalidate_caches()
        compiled_module._digest.cache_clear()
        return importlib.import_module("snnb.loop_of_a_test").result

    def files():
        return len(list(tmp_path.glob("cache/*/*.nb[ic]")))

    first_load, again = load_function(), load_function()
    assert (
        first_load(4),
        _from_disk(first_load),
        again(4),
        _from_disk(again),
        files(),
    ) == (
        7,
        0,
        7,
        1,
        2,
    )
    for changes, expected_loads in (
        ({"function_of_a_test": ("a + b", "a - b")}, 1),
        ({"part_of_a_test": ("3", "5")}, 9),
        (
            {
                "loop_of_a_test": ("(a, WIDTH)", "(WIDTH, a)"),
                "function_of_a_test": ("a + b", "a - b"),
            },
            -1,
        ),
    ):
        changed_load, again = load_function(**changes), load_function(**changes)
        assert (changed_load(4), _from_disk(changed_load)) == (expected_loads, 0)
        assert (again(4), _from_disk(again)) == (expected_loads, 1)
        assert files() == 2  # those of other sources are removed


def test_compilation_is_reported_and_loading_from_disk_is_not(load, monkeypatch):
    messages = []
    monkeypatch.setattr(compilation, "show", messages.append)
    load()(VALUES)
    messages_before = len(messages)
    assert (messages[0], messages[-1]) == (
        "compiling loops not used in this environment before",
        "",
    )
    load()(VALUES)
    assert len(messages) == messages_before


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:20],
        lambda content: content[:-20],
        lambda content: b"\0" * len(content),
    ],
    ids=["empty", "head", "cut", "zeros"],
)
def test_a_damaged_file_of_the_cache_is_replaced(load, tmp_path, suffix, damage):
    load()(VALUES)
    files = [file for file in tmp_path.glob("cache/*/*") if file.suffix == suffix]
    assert len(files) >= 2  # of `total` and of `add`
    for file in files:
        file.write_bytes(damage(file.read_bytes()))
    damaged_load = load()
    assert damaged_load(VALUES) == 10
    assert _from_disk(damaged_load) == 0
    repaired_load = load()
    assert repaired_load(VALUES) == 10
    assert _from_disk(repaired_load) == 1


def test_without_a_directory_that_can_be_written_the_function_is_compiled_without_a_cache(
    tmp_path, monkeypatch
):
    (tmp_path / "file").touch()
    nowhere = str(tmp_path / "file" / "below")  # which not even root can make
    monkeypatch.setattr(numba.config, "CACHE_DIR", nowhere)
    monkeypatch.setenv("XDG_CACHE_HOME", nowhere)
    namespace = {}
    source = "def third(x):\n    return x / 3\n"
    exec(
        compile(source, "<no file>", "exec"), namespace
    )  # without a directory of its own
    third_function = compiled(namespace["third"])
    assert third_function(3.0) == 1.0
    assert third_function.stats.cache_path is None


def test_what_cannot_be_saved_is_compiled_all_the_same(load, tmp_path):
    total = load()
    folder = Path(total.stats.cache_path)
    shutil.rmtree(folder)
    folder.touch()
    assert total(VALUES) == 10


def test_division_by_zero_gives_what_numpy_gives():
    @compiled
    def ratio(a, b):
        return a / b

    assert ratio(1.0, 0.0) == np.inf


def test_the_cache_is_in_the_users_cache_directory_unless_a_directory_is_named(
    load, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiled_module._directory.cache_clear()
    assert Path(load().stats.cache_path).parent == tmp_path / "cache"
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    assert Path(load().stats.cache_path).parent == tmp_path / "snnb" / "numba"
    assert numba.config.CACHE_DIR == ""  # as before, for other packages


def test_machine_code_of_the_environment_is_used_and_not_changed(
    load, tmp_path, monkeypatch
):
    load()(VALUES)
    before = tmp_path / "cache"
    content = {file: file.read_bytes() for file in before.glob("*/*")}
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(compiled_module, "_COMPILED_BEFORE", before)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    compiled_module._directory.cache_clear()
    total = load()
    assert total(VALUES) == 10
    assert _from_disk(total) == 1
    assert total(VALUES + 0.5) == 12.0  # other types: compiled, and saved for this user
    compiled_module._directory.cache_clear()  # a later process
    total = load()
    assert (total(VALUES), total(VALUES + 0.5), _from_disk(total)) == (10, 12.0, 2)
    assert {file: file.read_bytes() for file in before.glob("*/*")} == content


SCALAR = "fpu sse sse2 cx16 lahf_lm pni ssse3"
V2 = f"{SCALAR} sse4_1 sse4_2 popcnt"
V3 = f"{V2} abm avx avx2 bmi1 bmi2 f16c fma movbe xsave"
V4 = f"{V3} avx512f avx512dq avx512cd avx512bw avx512vl"


@pytest.mark.parametrize(
    ("line", "number"),
    [
        (f"flags\t\t: {SCALAR}", 0),  # Core 2 of 65 nm
        (f"flags\t\t: {V2}", 1),  # Nehalem
        (f"flags\t\t: {V2} avx xsave aes", 1),  # Sandy Bridge
        (f"flags\t\t: {V3}", 2),  # Haswell, Zen
        (f"flags\t\t: {V3} avx512f avx512cd avx512er avx512pf", 2),  # Xeon Phi
        (f"flags\t\t: {V4}", 3),  # Skylake-SP, Zen 4
        (f"flags\t\t: {V4.replace('movbe', '')}", 1),  # hidden by a hypervisor
        ("Features\t: fp asimd aes", 0),  # arm64
        ("", 0),
    ],
)
def test_the_levels_of_a_processor(tmp_path, monkeypatch, line, number):
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\n{line}\nbogomips\t: 1\n")
    monkeypatch.setattr(compiled_module, "_CPU_INFO", file)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert processor_levels() == ["x86-64-v2", "x86-64-v3", "x86-64-v4"][:number]
    file.unlink()
    assert processor_levels() == []


@pytest.mark.skipif(not Path(LOADER).exists(), reason=f"needs glibc's {LOADER}")
def test_the_levels_of_this_processor_are_those_of_the_c_library():
    printed_text = subprocess.run(
        [LOADER, "--help"], stdout=subprocess.PIPE, text=True
    ).stdout
    levels = re.findall(r"^  (x86-64-v\d) \(supported", printed_text, re.MULTILINE)
    if "x86-64-v2" not in printed_text:
        pytest.skip("glibc before 2.33 knows no levels")
    assert processor_levels() == sorted(levels)


def test_loops_are_compiled_for_the_level_unless_the_environment_names_a_processor():
    if (
        not {"NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"} & set(os.environ)
        and processor_levels()
    ):
        assert cpu_target.target_context.codegen().magic_tuple()[1:] == (
            processor_levels()[-1],
            "",
        )
    script = "import snnb.core.compiled, numba; print(numba.config.CPU_NAME, numba.config.CPU_FEATURES)"
    for chosen_environment, expected_level in (
        ({"NUMBA_CPU_NAME": "haswell"}, "haswell None"),
        ({"NUMBA_CPU_FEATURES": "+avx"}, "None +avx"),
    ):
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("NUMBA_CPU")
        }
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**environment, **chosen_environment},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == expected_level
