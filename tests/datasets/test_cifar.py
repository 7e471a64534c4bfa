import hashlib
import io
import os
import pickle
import struct
import tarfile
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from official_files import python2_batch

from snnb.datasets import cifar
from snnb.datasets.catalogue import available


def check_arrays(target, entries):
    rows = np.concatenate([entries[f"data_batch_{n}"][b"data"] for n in range(1, 6)])
    labels = np.concatenate(
        [entries[f"data_batch_{n}"][b"labels"] for n in range(1, 6)]
    )
    images = np.load(target / "x_train.npy")
    assert images.shape == (30, 32, 32, 3)
    # A row holds the 1,024 red values, line by line, then the green, then the blue ones.
    assert np.array_equal(images[..., 0].reshape(30, 1024), rows[:, :1024])
    assert np.array_equal(images[:, 2, 5, 2], rows[:, 2048 + 2 * 32 + 5])
    assert np.array_equal(np.load(target / "y_train.npy"), labels)
    assert np.array_equal(
        np.load(target / "x_test.npy")[..., 1].reshape(10, 1024),
        entries["test_batch"][b"data"][:, 1024:2048],
    )
    assert np.load(target / "y_test.npy").tolist() == list(range(10))


def test_the_official_batches_become_images_in_their_own_order(
    run_prepare, cifar10_folder, cifar10_entries
):
    target, preparation = run_prepare("cifar10", source=cifar10_folder)
    check_arrays(target, cifar10_entries)
    assert preparation.splits["test"].class_counts["frog"] == 1
    assert sorted(preparation.sources) == sorted(
        (cifar10_folder / "cifar-10-batches-py").iterdir()
    )
    assert preparation.warnings == [
        "30 training and 10 test samples; 50,000 and 10,000 are published"
    ]


@pytest.mark.parametrize("protocol", range(5))
def test_batches_pickled_by_python_3_are_read_too(
    run_prepare, cifar10_folder, cifar10_entries, protocol
):
    for name, content in cifar10_entries.items():
        columns = {
            **content,
            b"data": np.asfortranarray(content[b"data"]),
        }  # which a pickle stores as they are
        (cifar10_folder / "cifar-10-batches-py" / name).write_bytes(
            pickle.dumps(columns, protocol)
        )
    check_arrays(
        run_prepare("cifar10", source=cifar10_folder / "cifar-10-batches-py")[0],
        cifar10_entries,
    )


class Runs:
    """Pickled, it calls `call` when it is loaded in the usual way."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        function, *arguments = self.call
        return function, tuple(arguments)


def test_a_pickle_that_would_run_code_is_refused_and_runs_none(
    assert_refused, cifar10_folder, tmp_path
):
    trace = tmp_path / "trace"
    path = cifar10_folder / "cifar-10-batches-py" / "data_batch_3"
    for protocol in (0, 2, 4):
        path.write_bytes(
            pickle.dumps(
                {b"data": Runs(eval, f"open({str(trace)!r}, 'w')"), b"labels": []},
                protocol,
            )
        )
        assert_refused(
            r"data_batch_3 is refused: it names \w+\.eval.*download the official",
            "cifar10",
            source=cifar10_folder,
        )
        assert not trace.exists()
        pickle.loads(path.read_bytes())  # noqa: S301 (the proof that this pickle does run)
        trace.unlink()


ENCODE = b"c_codecs\nencode\n"


def text(content):
    return b"X" + struct.pack("<I", len(content)) + content


def array(shape, kind=b"u1", call=b"cnumpy.core.multiarray\n_reconstruct\n"):
    sides = b"\x8a\x08" + struct.pack("<q", shape)
    return (
        b"\x80\x02"
        + call
        + b"cnumpy\nndarray\n"
        + sides
        + b"\x85U"
        + bytes([len(kind)])
        + kind
        + b"\x87R."
    )


# Bytes that are encoded in hexadecimal digits, and these again; each time twice as many
NESTED = (
    b"\x80\x02"
    + ENCODE * 20
    + b"U\xffa"
    + b"a" * 254
    + (text(b"hex") + b"\x86R") * 20
    + b"."
)
# A list of a text that is encoded again and again
AGAIN = (ENCODE + b"h\x00" + text(b"latin1") + b"\x86R") * 2000
REPEATED = b"\x80\x02" + text(b"a" * 100_000) + b"q\x00](" + AGAIN + b"e\x86."
TUPLES = (
    b"\x80\x02})" + b"q\x00h\x00\x86" * 26 + b"K\x01s."
)  # a key whose text has 2**26 elements
SMALL = {
    "nested encoding": (NESTED, "encodes 255 characters as 'hex'"),
    "repeated encoding": (REPEATED, "encodes 200,000 characters as 'latin1'"),
    "memo": (
        b"\x80\x02Nr\xff\xff\xff\x0f.",
        "stores object 268,435,455 after 2 operations",
    ),
    "array": (
        array(2 * 10**9, b"O"),
        "is not an array of bytes|not a readable CIFAR batch",
    ),
    "ndarray": (
        array(2 * 10**9, b"O", b"cnumpy\nndarray\n"),
        "is not an array of bytes|not a readable CIFAR batch",
    ),
    "sets": (b"\x80\x04(" + b"\x8f" * 100_000 + b"t.", "has the operation EMPTY_SET"),
    "key": (TUPLES, "is not an array of bytes"),
    "dictionaries": (
        b"\x80\x02(" + b"}" * 500_000 + b"t.",
        "not a readable CIFAR batch",
    ),
}


@pytest.mark.parametrize("kind", SMALL)
def test_a_small_pickle_takes_little_memory(kind, assert_refused, cifar10_folder):
    content, message = SMALL[kind]
    (cifar10_folder / "cifar-10-batches-py" / "data_batch_1").write_bytes(content)
    assert_refused("", "cifar10", source=cifar10_folder)  # what is imported
    tracemalloc.start()
    try:
        assert_refused(message, "cifar10", source=cifar10_folder)
        assert tracemalloc.get_traced_memory()[1] <= 100 * len(content) + 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({b"labels": [0] * 9 + [10]}, "label 10 of sample 9"),
        ({b"labels": [0] * 9}, "`labels` is not a list of 10"),
        ({b"data": np.zeros((10, 3071), np.uint8)}, "3072 columns"),
        ({b"data": np.zeros((10, 3072), "f4")}, "is not an array of bytes"),
        ({b"data": np.array([Runs(os.system, "true")], dtype=object)}, "is refused"),
    ],
    ids=range(5),
)
def test_a_batch_of_another_kind_is_named_with_what_is_wrong(
    assert_refused, cifar10_folder, cifar10_entries, change, message
):
    path = cifar10_folder / "cifar-10-batches-py" / "test_batch"
    path.write_bytes(pickle.dumps({**cifar10_entries["test_batch"], **change}, 2))
    assert_refused(f"test_batch.* .*{message}", "cifar10", source=cifar10_folder)


def test_a_batch_that_is_cut_anywhere_or_missing_is_named(
    assert_refused, cifar10_folder
):
    path = cifar10_folder / "cifar-10-batches-py" / "test_batch"
    content = path.read_bytes()
    for size in (0, 100, 30_900):
        path.write_bytes(content[:size])
        assert_refused(
            "test_batch is not a readable CIFAR batch", "cifar10", source=cifar10_folder
        )
    path.with_name("data_batch_4").unlink()
    assert_refused(
        "cifar-10-batches-py lacks data_batch_4", "cifar10", source=cifar10_folder
    )


def publish(monkeypatch, server, archive):
    monkeypatch.setattr(cifar, "SITE", server.url)
    sha256 = hashlib.sha256(archive).hexdigest()
    monkeypatch.setitem(
        cifar.RELEASES, "cifar10", replace(cifar.RELEASES["cifar10"], sha256=sha256)
    )


def test_without_a_source_the_archive_is_downloaded_and_unpacked(
    run_prepare, server, monkeypatch, cifar10_entries, tmp_path
):
    packed_file = io.BytesIO()
    with tarfile.open(fileobj=packed_file, mode="w:gz") as tar:
        for name, content in [
            ("../../outside", {}),
            ("readme.html", {}),
            *cifar10_entries.items(),
        ]:
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(python2_batch(content))
            tar.addfile(member, io.BytesIO(python2_batch(content)))
    server.files["/cifar-10-python.tar.gz"] = packed_file.getvalue()
    publish(monkeypatch, server, packed_file.getvalue())

    check_arrays(run_prepare("cifar10")[0], cifar10_entries)
    there_path = tmp_path / "data" / "cifar10" / "cifar-10-batches-py"
    assert available("cifar10", tmp_path / "data") == there_path
    assert sorted(path.name for path in there_path.iterdir()) == sorted(cifar10_entries)
    assert not list(tmp_path.glob("**/outside"))
    assert not list(tmp_path.glob("**/*.tar.gz"))


def test_an_archive_put_there_by_hand_is_unpacked_if_it_is_the_official_one(
    run_prepare, assert_refused, monkeypatch, server, cifar10_folder, tmp_path
):
    archive = tmp_path / "data" / "cifar10" / "cifar-10-python.tar.gz"
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(cifar10_folder / "cifar-10-batches-py", "cifar-10-batches-py")
    monkeypatch.setattr(cifar, "SITE", server.url)
    assert_refused(
        r"tar\.gz is not the published file, by its SHA-256, and could not be downloaded",
        "cifar10",
    )
    server.requests.clear()
    publish(monkeypatch, server, archive.read_bytes())
    assert run_prepare("cifar10")[1].splits["train"].shape == (30, 32, 32, 3)
    assert archive.exists()
    assert server.requests == []


@pytest.fixture
def batches(tmp_path):
    """The three files of CIFAR-100, with twelve and seven images; fine and coarse labels differ."""
    rng = np.random.default_rng(5)

    def part(count):
        return {
            b"filenames": [b"picture.png"] * count,
            b"fine_labels": [int(label) for label in rng.integers(20, 100, count)],
            b"coarse_labels": [int(label) for label in rng.integers(0, 20, count)],
            b"data": rng.integers(0, 256, (count, 3072), dtype=np.uint8),
        }

    folder = tmp_path / "source" / "cifar100" / "cifar-100-python"
    folder.mkdir(parents=True)
    names = [f"thing {number}".encode() for number in range(100)]
    contents = {
        "train": part(12),
        "test": part(7),
        "meta": {b"fine_label_names": names},
    }
    for name, content in contents.items():
        (folder / name).write_bytes(python2_batch(content))
    return folder, contents


def test_the_fine_labels_and_their_names_are_taken(run_prepare, batches):
    folder, contents = batches
    target, preparation = run_prepare("cifar100", source=folder.parent)
    assert np.load(target / "y_train.npy").tolist() == contents["train"][b"fine_labels"]
    rows = contents["test"][b"data"].reshape(7, 3, 32, 32)
    assert np.array_equal(np.load(target / "x_test.npy")[..., 2], rows[:, 2])
    assert preparation.class_names[42] == "thing 42"
    assert np.load(target / "y_test.npz")["arr_0"].shape == (7, 100)
    assert available("cifar100", folder.parent.parent) == folder


def test_a_meta_file_without_the_names_is_told(assert_refused, batches):
    folder, _ = batches
    (folder / "meta").write_bytes(python2_batch({b"fine_label_names": [b"one"]}))
    assert_refused(
        "meta: `fine_label_names` is not a list of 100 names", "cifar100", source=folder
    )
