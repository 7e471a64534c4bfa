"""A manifest only names a model's Python file: it runs when this user has given that path before."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from snnb import Run
from snnb.core.errors import InputError
from snnb.stages import model as trust

EVIL = "from pathlib import Path\nPath(__file__).with_name('ran').write_text('yes')\ndef net(): pass\n"


@pytest.fixture
def named(run, tmp_path, monkeypatch):
    """A run whose manifest names a file that leaves a trace when it runs."""
    monkeypatch.setattr(trust, "_this_process", set())
    (tmp_path / "evil.py").write_text(EVIL)
    manifest = yaml.safe_load((run.path / "manifest.yaml").read_text())
    manifest["run"]["model_source"] = f"{tmp_path / 'evil.py'}:net"
    (run.path / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    return tmp_path


@pytest.mark.parametrize("stage", ["prepare", "train"])
def test_a_file_that_nobody_has_given_is_not_run(run, named, stage):
    with pytest.raises(InputError, match=r"give model .*evil.py:net once"):
        getattr(Run(path=run.path), stage)(force=True, **({"shape": (8, 8, 1)} if stage == "prepare" else {}))
    assert not (named / "ran").exists()


@pytest.mark.parametrize("again", [True, False], ids=["in a later process", "in this process"])
def test_a_file_given_before_is_run_without_typing_it_again(named, again, monkeypatch):
    trust.trust(named / "evil.py")
    assert trust.trusted(named / "evil.py")
    if again:
        monkeypatch.setattr(trust, "_this_process", set())
    assert trust.trusted(named / "evil.py")
    assert not trust.trusted(named / "other.py")


def test_files_that_many_give_at_once_are_all_in_the_list(tmp_path, monkeypatch):
    """As the jobs of an array do."""
    files = [tmp_path / f"{number}.py" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(trust.trust, files))
    monkeypatch.setattr(trust, "_this_process", set())
    assert all(map(trust.trusted, files))
