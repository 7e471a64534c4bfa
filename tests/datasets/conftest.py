"""Small data sets in the official layouts, and a web server on this machine."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest
from official_files import idx_bytes, python2_batch
from PIL import Image

from snnb.core.errors import InputError
from snnb.core.progress import silent
from snnb.datasets.catalogue import find_dataset
from snnb.datasets.preparation import open_dataset, write_arrays
from snnb.datasets.preparation_settings import PreparationSettings


@pytest.fixture
def mnist_arrays():
    """Random images: four training and two test ones of each class, in mixed order."""
    rng = np.random.default_rng(3)
    return {
        "train-images-idx3-ubyte": rng.integers(0, 256, (40, 28, 28), dtype=np.uint8),
        "train-labels-idx1-ubyte": rng.permutation(
            np.repeat(np.arange(10, dtype=np.uint8), 4)
        ),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (20, 28, 28), dtype=np.uint8),
        "t10k-labels-idx1-ubyte": rng.permutation(
            np.repeat(np.arange(10, dtype=np.uint8), 2)
        ),
    }


@pytest.fixture
def mnist_folder(tmp_path, mnist_arrays):
    """The four files: three plain, one gzipped."""
    folder = tmp_path / "source" / "mnist"
    folder.mkdir(parents=True)
    for name, array in mnist_arrays.items():
        (folder / name).write_bytes(idx_bytes(array))
    name = "t10k-images-idx3-ubyte"
    (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    (folder / name).unlink()
    return folder


@pytest.fixture
def run_prepare(tmp_path):
    """Prepare into a new folder; returns that folder, and the opened data set with what was written."""
    made_datasets = []

    def run(name, **options):
        target = tmp_path / f"dataset{len(made_datasets)}"
        target.mkdir()
        made_datasets.append(target)
        shape, num_classes = (
            find_dataset(name).spec.shape,
            options.pop("num_classes", None),
        )
        progress = options.pop("progress", silent)
        defaults = {"data_dir": tmp_path / "data", "norm_samples": 10, "shape": shape}
        settings = PreparationSettings(dataset=name, **{**defaults, **options})
        loaded_dataset = open_dataset(
            settings, num_classes=num_classes, progress=progress
        )
        written = write_arrays(loaded_dataset, settings, target, progress)
        return target, SimpleNamespace(**{**vars(loaded_dataset), **vars(written)})

    return run


@pytest.fixture
def assert_refused(run_prepare):
    """Check that `prepare` refuses a data set with a message."""

    def run(message, name, **settings):
        with pytest.raises(InputError, match=message):
            run_prepare(name, **settings)

    return run


@pytest.fixture
def server(monkeypatch):
    """A web server on the loopback interface: the files that it offers, and the paths that were requested.

    An answer has `cut_after` bytes before the connection breaks.
    """
    state = SimpleNamespace(files={}, cut_after=None, requests=[])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            state.requests.append(self.path)
            content = state.files.get(self.path, b"")
            self.send_response(200 if content else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: state.cut_after])
            self.close_connection = True

        def log_message(self, format, *args):
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(
            target=http.serve_forever, kwargs={"poll_interval": 0.01}
        )
        thread.start()
        state.url = f"http://127.0.0.1:{http.server_address[1]}/"
        yield state
        http.shutdown()
        thread.join()


@pytest.fixture
def cifar10_entries():
    """What the six files hold: five batches of six images, a test batch of ten, each class once in the latter."""
    rng = np.random.default_rng(4)

    def entries(name, labels):
        return {
            b"batch_label": name.encode(),
            b"labels": [int(label) for label in labels],
            b"data": rng.integers(0, 256, (len(labels), 3072), dtype=np.uint8),
            b"filenames": [b"picture.png"] * len(labels),
        }

    made_entries = {
        f"data_batch_{n}": entries(f"training batch {n} of 5", rng.integers(0, 10, 6))
        for n in range(1, 6)
    }
    made_entries["test_batch"] = entries("testing batch 1 of 1", range(10))
    return made_entries


@pytest.fixture
def cifar10_folder(tmp_path, cifar10_entries):
    folder = tmp_path / "source" / "cifar10" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name, content in cifar10_entries.items():
        (folder / name).write_bytes(python2_batch(content))
    return folder.parent


@pytest.fixture
def picture(tmp_path):
    """Write a picture below the test's folder: of an array, or of one colour; the suffix decides the format."""

    def write(name, content=(200, 100, 50), size=(6, 4), **save):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = (
            Image.fromarray(content)
            if isinstance(content, np.ndarray)
            else Image.new("RGB", size, content)
        )
        image.save(path, **save)
        return path

    return write
