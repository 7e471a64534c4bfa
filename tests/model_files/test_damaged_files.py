"""Files whose arrays are groups, texts, too large or too many: each is refused by name, in little memory."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
SOURCE = Path(__file__).parents[2] / "src/snnb"
FILES = {
    "net": FIXTURES / "lava" / "tiny.net",
    "nir": SOURCE / "architectures" / "spiking_digits.nir",
    "keras": FIXTURES / "model_files" / "augmented_keras28.h5",
    "parsed": FIXTURES / "mini_network" / "parse" / "mini_network_parsed.h5",
}
# Parts of the names of objects that a reader does not read
UNREAD = {
    "net": ("simulation", "Channels", "kernelSize", "Rho", "theta", "wgtExp"),
    "nir": ("version",),
    "keras": ("augmentation", "flatten", "rescaling", "top_level"),
    "parsed": ("Pooling", "Flatten", "model_weights/input"),
}
LIMIT_BYTES = 1_000_000_000
# Damages each file of a folder, `NUMBER.FORMAT`, as a list says, and reads it. Prints
# the errors, and the largest memory in bytes.
READ = """
import json, sys, warnings
from pathlib import Path
import h5py
import numpy as np
from snnb.core.errors import SnnbError
from snnb.model_files.kinds import NirSettings
from snnb.model_files.lava_dl import read_lava_dl
from snnb.model_files.nir_network import read_nir
from snnb.model_files.read_model import read_trained
from snnb.network.read_network import read_network

warnings.simplefilter("ignore")
READERS = {
    "net": read_lava_dl,
    "nir": lambda path: read_nir(path, NirSettings()),
    "keras": read_trained,
    "parsed": read_network,
}

def damage(path, name, damage):
    with h5py.File(str(path), "r+") as file:
        shape = getattr(file[name], "shape", (3,))
        del file[name]
        if damage == "group":
            file.create_group(name)
        elif damage == "unwritten":
            file.create_dataset(name, (16_000_000,), "i1", chunks=(1 << 20,))
        elif damage == "unwritten float":
            file.create_dataset(name, (6_000, 4_000), "f2", chunks=(1000, 1000))
        else:
            value = {"text": b"12", "large": 1e300, "bool": True, "nan": np.nan}[damage]
            file[name] = np.full(shape or (1,), value)

results = []
for path, name, kind in json.load(sys.stdin):
    damage(Path(path), name, kind)
    try:
        READERS[Path(path).parent.name](Path(path))
        results.append((0, ""))
    except SnnbError as error:
        results.append((error.exit_code, str(error)))
    except Exception as error:
        results.append((1, repr(error)))
# Not the maximum of getrusage: a process begins with that of its parent.
status = Path("/proc/self/status").read_text()
peak_kilobytes = int(status.split("VmHWM:")[1].split()[0])
print(json.dumps([results, peak_kilobytes * 1024]))
"""
OF_ARRAYS = ("group", "text", "large", "nan", "bool", "unwritten", "unwritten float")


def objects_in(path):
    """Return the names of the arrays and of the groups in a file."""
    h5py = pytest.importorskip("h5py")
    arrays, groups = [], []
    with h5py.File(str(path), "r") as file:
        file.visititems(
            lambda name, item: (
                arrays if isinstance(item, h5py.Dataset) else groups
            ).append(name)
        )
    return arrays, groups


@pytest.mark.parametrize("kind", FILES)
def test_fifty_damaged_files_are_refused_by_name_below_one_gigabyte(kind, tmp_path):
    arrays, groups = objects_in(FILES[kind])
    cases = [(name, damage) for name in arrays for damage in OF_ARRAYS]
    cases += [(name, "bool") for name in groups]  # an array in place of a group
    read_cases = [
        case for case in cases if not any(part in case[0] for part in UNREAD[kind])
    ]
    random.Random(0).shuffle(read_cases)
    folder = tmp_path / kind
    folder.mkdir()
    jobs = []
    for number, (name, damage) in enumerate(read_cases[:50]):
        path = folder / f"{number}{FILES[kind].suffix}"
        shutil.copyfile(FILES[kind], path)
        jobs.append((str(path), name, damage))
    done = subprocess.run(
        [sys.executable, "-c", READ],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    results, memory_bytes = json.loads(done.stdout.splitlines()[-1])
    for (path, name, damage), (code, message) in zip(jobs, results):
        assert code == 3, (name, damage, message)
        assert Path(path).name in message, (name, damage, message)
        assert "\n" not in message
    assert memory_bytes < LIMIT_BYTES
