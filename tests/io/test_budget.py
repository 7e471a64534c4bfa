"""The budget of a file: what its readers may draw, by its size and by the memory that is available."""

import gc

import h5py
import numpy as np
import pytest

from snnb.core import machine
from snnb.core.errors import DamagedError, ResourceError
from snnb.io.budget import Budget
from snnb.io.hdf5 import budget_of, open_file, read_rows, reading, whole

FREE = 2**28


@pytest.fixture
def path(tmp_path):
    (tmp_path / "file").write_bytes(bytes(1000))
    return tmp_path / "file"


@pytest.mark.parametrize(
    ("number", "available", "error"),
    [
        # 256 MiB, and 1,032 times its size
        ((FREE + 1_032_000) // 8, FREE + 1_032_000, None),
        ((FREE + 1_032_000) // 8, FREE + 1_031_999, ResourceError),
        ((FREE + 1_032_000) // 8 + 1, 10**12, DamagedError),
        (125_000, 0, None),  # a megabyte is always there
    ],
)
def test_arrays_are_compared_with_the_size_of_the_file_and_with_memory(
    path, monkeypatch, number, available, error
):
    monkeypatch.setattr(machine, "memory", lambda: machine.Memory(10**15, available))
    if error is None:
        Budget(path).draw(number, "neurons", 8)
        return
    with pytest.raises(error, match=f"file: .*{number:,} neurons"):
        Budget(path).draw(number, "neurons", 8)


def test_all_arrays_of_a_file_draw_from_one_budget(path, monkeypatch):
    budget = Budget(path)
    for _ in range(4):
        budget.draw(FREE // 4, "bytes")
    budget.draw(1_032_000, "bytes")
    with pytest.raises(
        DamagedError, match=r"file: describes 1 more: .* a file of 1,000 bytes"
    ):
        budget.draw(1, "more")


def test_small_arrays_are_compared_with_memory_in_sum(path, monkeypatch):
    monkeypatch.setattr(machine, "memory", lambda: machine.Memory(10**15, 0))
    budget = Budget(path)
    for _ in range(20):
        budget.draw(500_000, "weights")
    with pytest.raises(ResourceError, match="file: the 500,000 weights"):
        budget.draw(500_000, "weights")
    Budget(path).draw(10**8, "edges", in_memory=False)


def test_steps_are_compared_with_the_size_of_the_file(path):
    budget = Budget(path)
    for _ in range(5_010):
        budget.draw_steps(1, "nodes")
    with pytest.raises(DamagedError, match="file: describes more than 5,010 nodes"):
        budget.draw_steps(1, "nodes")


def test_a_dataset_draws_from_the_budget_of_its_file_by_whatever_name(tmp_path):
    path = tmp_path / "links.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (2**26,), "i1", chunks=(2**20,))
        file["b"] = file["a"]
        file["group/c"] = h5py.SoftLink("/a")
    with reading(path) as file, reading(path) as again:
        assert (
            budget_of(file["group"])
            is budget_of(file["a"])
            is budget_of(again["b"])
            is file.budget
        )
        assert whole(file["a"]).shape == (2**26,)
        for _ in range(3):
            read_rows(again["b"], 0, 2**26)
        with pytest.raises(DamagedError, match="67,108,864 values of /group/c"):
            whole(file["group/c"])
    with reading(path) as file:  # opened anew
        whole(file["a"])


def test_a_dataset_is_read_when_the_object_of_its_file_is_gone(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = np.arange(3)
    stored_dataset = open_file(tmp_path / "a.h5")["a"]
    gc.collect()
    assert whole(stored_dataset).tolist() == [0, 1, 2]
    stored_dataset.file.close()


def test_a_part_of_a_dataset_draws_the_chunk_that_is_unpacked(tmp_path):
    path = tmp_path / "chunk.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (2**26,), "i1", chunks=(2**26,))
    with reading(path) as file:
        for _ in range(4):
            read_rows(file["a"], 0, 1)
        with pytest.raises(DamagedError, match="67,108,864 values of /a"):
            read_rows(file["a"], 0, 1)


@pytest.mark.parametrize("shape", [(2500,), (1250, 2), (3,), (0,)])
def test_texts_are_read_in_blocks(tmp_path, shape):
    texts = np.array([f"text {k}" for k in range(int(np.prod(shape)))], object).reshape(
        shape
    )
    with h5py.File(tmp_path / "texts.h5", "w") as file:
        file.create_dataset("a", data=texts, dtype=h5py.special_dtype(vlen=str))
    with reading(tmp_path / "texts.h5") as file:
        expected_dataset = file["a"][()]
        assert whole(file["a"]).tolist() == expected_dataset.tolist()
