"""A manifest only names a model's Python file: it runs when this user has given that path with that content."""

import os
import py_compile
import re
import shlex
import shutil
import tempfile
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

import pytest
import yaml

from snnb import Run
from snnb.architectures import own_model
from snnb.core.errors import InputError
from snnb.results.verify import verify_run
from snnb.rundir.manifest import sealed
from snnb.stages.model import model_of, trust
from snnb.stages.open_run import open_run
from snnb.stages.states import state_of_stages

EVIL = "from pathlib import Path\nPath(__file__).with_name('ran').write_text('yes')\ndef net(): pass\n"


@pytest.fixture
def named_file(run, tmp_path):
    """A run whose manifest names a file that leaves a trace when it runs."""
    (tmp_path / "evil.py").write_text(EVIL)
    name_as_model(run, tmp_path / "evil.py")
    return tmp_path


def name_as_model(run, file):
    """Change the manifest of a run to name the function `net` of a file."""
    manifest = yaml.safe_load((run.path / "manifest.yaml").read_text())
    manifest["run"]["model_source"] = f"{file}:net"
    (run.path / "manifest.yaml").write_text(sealed(yaml.safe_dump(manifest)))


@pytest.mark.parametrize("stage", ["prepare", "train"])
def test_a_file_that_nobody_has_given_is_not_run(run, named_file, stage):
    with pytest.raises(InputError, match=r"give --model .*evil.py:net once"):
        getattr(Run(path=run.path), stage)(
            force=True, **({"shape": (8, 8, 1)} if stage == "prepare" else {})
        )
    assert not (named_file / "ran").exists()


@pytest.mark.parametrize("was_given", [False, True])
def test_a_path_with_a_space_is_quoted_in_the_advice(run, named_file, was_given):
    file = (named_file / "evil.py").rename(named_file / "my net.py")
    name_as_model(run, file)
    if was_given:
        give_in_another_process(file)
        file.write_text(f"{EVIL}# changed\n")
    with pytest.raises(InputError) as error:
        prepare(run)
    advice, _ = re.split(
        " (?:once|again)$", str(error.value).rpartition("then give ")[2]
    )
    assert shlex.split(advice) == ["--model", f"{file}:net"]


def give_in_another_process(path):
    """Give a file with --model, in a process that has ended."""
    process = get_context("fork").Process(target=trust, args=(path,))
    process.start()
    process.join()
    assert process.exitcode == 0


def prepare(run):
    Run(path=run.path).prepare(force=True, shape=(8, 8, 1))


@pytest.mark.parametrize("in_this_process", [True, False])
def test_a_file_given_before_is_run_without_typing_it_again(
    run, named_file, in_this_process
):
    give = trust if in_this_process else give_in_another_process
    give(named_file / "evil.py")
    with suppress(InputError):  # of the model, which is None
        prepare(run)
    assert (named_file / "ran").exists()


def test_a_file_that_has_changed_is_not_run_until_it_is_given_again(run, named_file):
    file = named_file / "evil.py"
    file.write_text("def net(): pass\n")
    give_in_another_process(file)
    file.write_text(EVIL)
    for _ in range(2):
        with pytest.raises(
            InputError,
            match=r"evil.py, .* has changed since .* give --model .*evil.py:net again",
        ):
            prepare(run)
        assert not (named_file / "ran").exists()
    give_in_another_process(file)
    with suppress(InputError):
        prepare(run)
    assert (named_file / "ran").exists()


def test_bytecode_of_another_source_is_not_run(named_file):
    """Python would run it, as the size and the time of the source are those that it states."""
    file = named_file / "evil.py"
    compiled_path = Path(py_compile.compile(str(file)))
    status = file.stat()
    file.write_text("def net(): pass\n".ljust(len(EVIL) - 1, "#") + "\n")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert compiled_path.exists()
    assert own_model(f"{file}:net").function == "net"
    assert not (named_file / "ran").exists()


def test_a_file_given_before_that_is_gone_is_named(run, named_file):
    give_in_another_process(named_file / "evil.py")
    (named_file / "evil.py").unlink()
    with pytest.raises(InputError, match=r"evil.py does not exist"):
        prepare(run)


def test_files_that_many_give_at_once_are_all_in_the_list(run, tmp_path):
    """As the jobs of an array do."""
    files = [tmp_path / f"{number}.py" for number in range(20)]
    for file in files:
        file.write_text("def net(): pass\n")
    fork = get_context("fork")
    processes = [fork.Process(target=trust, args=(file,)) for file in files]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    for file in files:
        name_as_model(run, file)
        assert model_of(open_run(run.path)).file == file


def with_input(run, record):
    """Record an external input of `prepare`, as somebody else may have."""
    data = yaml.safe_load((run.path / "manifest.yaml").read_text())
    data["stages"]["prepare"]["inputs"].append(
        {"external": True, "sha256": "0" * 64, **record}
    )
    (run.path / "manifest.yaml").write_text(sealed(yaml.safe_dump(data)))
    return open_run(run.path)


@pytest.mark.parametrize(
    "record",
    [
        {"path": "/", "size_bytes": 3, "files": 2, "listing": "0" * 64},
        {"path": "/proc/self/mem", "size_bytes": 0},
        {"path": "/dev/zero", "size_bytes": 0},
    ],
    ids=["a folder", "memory", "a device"],
)
def test_an_input_from_somebody_else_is_read_no_further_than_its_record(run, record):
    """Not one of these has an end, or one that is reached within minutes."""
    opened_record = with_input(run, record)
    notes = verify_run(opened_record).notes
    assert (
        f"prepare: {record['path']} (outside the run) has changed since it was read"
        in notes
    )


@pytest.mark.skipif(os.getuid() != 0, reason="only root becomes another user")
def test_an_input_in_the_directory_of_another_user_is_one_that_is_not_on_this_machine(
    run,
):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        place = Path(folder, "run")
        shutil.copytree(run.path, place)
        private = Path(folder, "private")
        (private / "pictures").mkdir(parents=True)
        (private / "file.npz").write_bytes(b"secret")
        moved_record = with_input(
            open_run(place), {"path": str(private / "file.npz"), "size_bytes": 6}
        )
        folder_record = {
            "path": str(private / "pictures"),
            "size_bytes": 0,
            "files": 0,
            "listing": "0" * 64,
        }
        moved_record = with_input(moved_record, folder_record)
        private.chmod(0o700)
        child = os.fork()
        if child == 0:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            reasons = [
                state.reason
                for state in state_of_stages(moved_record)
                if state.name == "prepare"
            ]
            notes = verify_run(moved_record).notes
            absent = [
                note for note in notes if "is not available on this machine" in note
            ]
            os._exit(0 if reasons == [None] and len(absent) == 2 else 9)
        assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 0
