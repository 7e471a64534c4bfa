import gzip
import hashlib

import numpy as np
import pytest

from snnb.core.errors import InputError, ResourceError
from snnb.core.progress import silent
from snnb.datasets import download as download_module
from snnb.datasets.download import download

CONTENT = np.random.default_rng(0).bytes(300_000)


def fetch(urls, path, content=CONTENT, unpacked=False, progress=silent):
    download(
        urls, path, sha256=hashlib.sha256(content).hexdigest(), size=len(content), unpacked=unpacked, progress=progress
    )


@pytest.fixture
def path(tmp_path, server):
    server.files["/file"] = CONTENT
    return tmp_path / "data" / "file"


def test_a_file_arrives_whole_with_progress_to_the_last_byte(server, path):
    seen = []
    fetch([server.url + "file"], path, progress=lambda done, total, note="": seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (300_000, 300_000)


@pytest.mark.parametrize(("part", "ranges"), [(CONTENT[:120_000], True), (b"x" * 120_000, False), (CONTENT, True)])
def test_an_interrupted_download_is_continued_if_the_server_can(server, path, part, ranges):
    server.ranges = ranges
    path.parent.mkdir()
    path.with_name("file.part").write_bytes(part)
    fetch([server.url + "file"], path)
    assert path.read_bytes() == CONTENT
    assert server.requests == [("/file", f"bytes={len(part)}-")]


def test_a_connection_that_breaks_is_taken_up_where_it_ended(server, path):
    server.cut_after = 100_000
    fetch([server.url + "file"], path)
    assert path.read_bytes() == CONTENT
    (_, first), (_, second) = server.requests
    assert first is None
    assert 0 < int(second[len("bytes=") : -1]) <= 100_000


def test_another_content_is_refused_and_nothing_of_it_stays(server, path):
    server.files["/file"] = CONTENT[:-1] + b"?"
    with pytest.raises(InputError, match=r"file could not be downloaded: .*SHA-256 .* not the published one"):
        fetch([server.url + "file"], path)
    assert [left.name for left in path.parent.iterdir() if not left.name.endswith(".lock")] == []


def test_the_next_mirror_serves_when_one_lacks_the_file_or_has_another(server, path):
    server.files["/wrong"] = b"something else"
    fetch([server.url + "missing", server.url + "wrong", server.url + "file"], path)
    assert path.read_bytes() == CONTENT


def test_no_mirror_has_it(server, path):
    with pytest.raises(InputError, match=rf"HTTP 404; try again, or put the file into {path.parent}"):
        fetch([server.url + "missing"], path)


def test_an_archive_is_known_by_what_it_holds(server, path):
    server.files["/file"] = gzip.compress(CONTENT, compresslevel=1)
    fetch([server.url + "file"], path, unpacked=True)
    assert gzip.decompress(path.read_bytes()) == CONTENT

    path.unlink()
    server.files["/file"] = server.files["/file"][:-100]
    with pytest.raises(InputError, match="SHA-256"):
        fetch([server.url + "file"], path, unpacked=True)


def test_too_little_disk_is_told_before_anything_is_fetched(server, path, monkeypatch):
    free = download_module.shutil.disk_usage(path.parent.parent)._replace(free=299_999)
    monkeypatch.setattr(download_module.shutil, "disk_usage", lambda _: free)
    with pytest.raises(ResourceError, match="--data-dir"):
        fetch([server.url + "file"], path)
    assert server.requests == []
