import hashlib

import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.core.progress import silent
from snnb.datasets.download import download

CONTENT = np.random.default_rng(0).bytes(300_000)


def fetch(urls, path, progress=silent):
    download(urls, path, sha256=hashlib.sha256(CONTENT).hexdigest(), progress=progress)


@pytest.fixture
def path(tmp_path, server):
    server.files["/file"] = CONTENT
    return tmp_path / "data" / "file"


def test_a_file_arrives_with_progress_to_the_last_byte(server, path):
    seen = []
    fetch(
        [server.url + "file"],
        path,
        progress=lambda done, total, note="": seen.append((done, total)),
    )
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o644
    assert seen[-1] == (300_000, 300_000)


@pytest.mark.parametrize(
    ("content", "cut_after"), [(CONTENT[:-1] + b"?", None), (CONTENT, 100_000)]
)
def test_other_or_incomplete_content_is_refused_and_removed(
    server, path, content, cut_after
):
    server.files["/file"], server.cut_after = content, cut_after
    with pytest.raises(InputError, match="file could not be downloaded"):
        fetch([server.url + "file"], path)
    assert list(path.parent.iterdir()) == []


def test_the_next_mirror_serves_when_one_lacks_the_file_or_has_another(server, path):
    server.files["/wrong"] = b"something else"
    fetch([server.url + "missing", server.url + "wrong", server.url + "file"], path)
    assert path.read_bytes() == CONTENT


def test_a_host_that_does_not_answer_is_named_with_the_reason(path):
    with pytest.raises(
        InputError,
        match=r"could not be downloaded: 127\.0\.0\.1:1: .*refused; try again",
    ) as caught:
        fetch(["http://127.0.0.1:1/file"], path)
    assert " object at " not in str(caught.value)


def test_the_reason_is_not_an_error_before_the_download(server, path):
    try:
        raise InputError("the files are missing")
    except InputError:
        with pytest.raises(
            InputError, match=rf"404 .*; try again, or put the file into {path.parent}"
        ) as caught:
            fetch([server.url + "missing"], path)
    assert "the files are missing" not in str(caught.value)
