"""A manifest only names a model's Python file: it runs when this user has given that path with that content."""

import hashlib
import os
import py_compile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from snnb import Run
from snnb.architectures import own_model
from snnb.core.errors import InputError
from snnb.rundir.manifest import sealed
from snnb.stages import model as trust

EVIL = "from pathlib import Path\nPath(__file__).with_name('ran').write_text('yes')\ndef net(): pass\n"


@pytest.fixture
def named(run, tmp_path, monkeypatch):
    """A run whose manifest names a file that leaves a trace when it runs."""
    monkeypatch.setattr(trust, "_this_process", set())
    (tmp_path / "evil.py").write_text(EVIL)
    manifest = yaml.safe_load((run.path / "manifest.yaml").read_text())
    manifest["run"]["model_source"] = f"{tmp_path / 'evil.py'}:net"
    (run.path / "manifest.yaml").write_text(sealed(yaml.safe_dump(manifest)))
    return tmp_path


@pytest.mark.parametrize("stage", ["prepare", "train"])
def test_a_file_that_nobody_has_given_is_not_run(run, named, stage):
    with pytest.raises(InputError, match=r"give --model .*evil.py:net once"):
        getattr(Run(path=run.path), stage)(force=True, **({"shape": (8, 8, 1)} if stage == "prepare" else {}))
    assert not (named / "ran").exists()


def given(path):
    """Give a file with --model, in a process that is over."""
    trust.trust(path)
    trust._this_process.clear()


def prepared(run):
    Run(path=run.path).prepare(force=True, shape=(8, 8, 1))


@pytest.mark.parametrize("in_this_process", [True, False])
def test_a_file_given_before_is_run_without_typing_it_again(run, named, in_this_process):
    (trust.trust if in_this_process else given)(named / "evil.py")
    with suppress(InputError):  # of the model, which is None
        prepared(run)
    assert (named / "ran").exists()


def test_a_file_that_has_changed_is_not_run_until_it_is_given_again(run, named):
    file = named / "evil.py"
    file.write_text("def net(): pass\n")
    given(file)
    file.write_text(EVIL)
    for _ in range(2):
        with pytest.raises(InputError, match=r"evil.py, .* has changed since .* give --model .*evil.py:net again"):
            prepared(run)
        assert not (named / "ran").exists()
    given(file)
    with suppress(InputError):
        prepared(run)
    assert (named / "ran").exists()


def test_bytecode_of_another_source_is_not_run(named):
    """Python would run it, as the size and the time of the source are those that it states."""
    file = named / "evil.py"
    compiled = Path(py_compile.compile(str(file)))
    status = file.stat()
    file.write_text("def net(): pass\n".ljust(len(EVIL) - 1, "#") + "\n")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert compiled.exists()
    assert own_model(f"{file}:net").function == "net"
    assert not (named / "ran").exists()


def test_a_file_given_before_that_is_gone_is_named(run, named):
    given(named / "evil.py")
    (named / "evil.py").unlink()
    with pytest.raises(InputError, match=r"evil.py does not exist"):
        prepared(run)


def test_files_that_many_give_at_once_are_all_in_the_list(tmp_path, monkeypatch):
    """As the jobs of an array do."""
    files = [tmp_path / f"{number}.py" for number in range(40)]
    for number, file in enumerate(files):
        file.write_text(f"number = {number}\n")
    monkeypatch.setattr(trust, "_this_process", set())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(given, files))
    contents = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    assert [trust._known_contents(file) for file in files] == [{content} for content in contents]
