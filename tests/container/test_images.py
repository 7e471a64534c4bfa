"""Both images, as built by docker/build."""

import json
import re
from pathlib import Path

import pytest

from snnb.version import __version__

pytestmark = pytest.mark.container
ROOT = Path(__file__).parents[2]
LOCKS = {"cpu": "requirements-cpu.lock", "gpu": "requirements.lock"}
STAGES = ("prepare", "train", "parse", "simulate", "graph", "map")

DISTRIBUTIONS = """
import importlib.metadata as metadata, json
print(json.dumps([[found.metadata["Name"], found.version] for found in metadata.distributions(path=[
    "/opt/snnb/lib/python3.8/site-packages"])]))
"""
# Besides what the stages import: what docker/prune-packages has thinned out.
IMPORTS = """
import json, os, sys
import snnb.cli.app, tensorflow, snntoolbox.bin.run, tensorboard.summary
import h5py, matplotlib.pyplot, mtkahypar, networkx, numba, PIL.Image, scipy.sparse
import pyarrow.csv, pyarrow.dataset, pyarrow.parquet
import distributed.cli.dask_scheduler, distributed.cli.dask_worker
import setuptools, sklearn.datasets
tensorflow.lite.TFLiteConverter
bytecode = [getattr(module, "__cached__", None) for module in list(sys.modules.values())]
print(json.dumps([path for path in bytecode if path and not os.path.exists(path)]))
"""


def test_help_lists_the_stages(confined_output):
    output = confined_output("--help")
    assert all(
        re.search(rf"^\W*{stage}\b", output, re.MULTILINE)
        for stage in (*STAGES, "run", "verify", "doctor")
    )


def test_holds_the_packages_of_the_lock_and_no_other(confined_output, target):
    def normal(name):
        return re.sub(r"[-_.]+", "-", name).lower()

    locked_packages = re.findall(
        r"^([\w.-]+)==(\S+)", (ROOT / LOCKS[target]).read_text(), re.MULTILINE
    )
    installed_document = json.loads(
        confined_output("-c", DISTRIBUTIONS, entrypoint="python")
    )
    assert sorted(
        (normal(name), version) for name, version in installed_document
    ) == sorted(
        [
            *((normal(name), version) for name, version in locked_packages),
            ("snnb", __version__),
        ]
    )


def test_every_module_imports_and_has_its_bytecode(confined_output):
    assert json.loads(confined_output("-c", IMPORTS, entrypoint="python")) == []


def test_doctor_finds_the_limits_and_places_to_write_without_options(output_of, image):
    document = json.loads(
        output_of(
            "--network",
            "none",
            "--memory",
            "1g",
            "--cpus",
            "1",
            image,
            "doctor",
            "--json",
        )
    )
    assert (document["cores"], document["memory_bytes"]) == (1, 2**30)
    assert 0 < document["memory_available_bytes"] < 2**30
    assert (
        document["tensorflow"],
        document["tensorflow_imports"],
        document["snntoolbox"],
    ) == (
        "2.2.0",
        "imports",
        "0.5.0",
    )
    assert (document["runs"]["path"], document["runs"]["writable"]) == ("/runs", True)
    assert (document["data"]["path"], document["data"]["writable"]) == ("/data", True)


def test_says_what_it_is_and_is_not_root(docker, output_of, image):
    config = json.loads(docker("image", "inspect", image).stdout)[0]["Config"]
    assert config["Labels"]["org.opencontainers.image.version"] == __version__
    assert re.fullmatch(
        r"[0-9a-f]{40}(-dirty)?|unknown",
        config["Labels"]["org.opencontainers.image.revision"],
    )
    assert (
        output_of("--network", "none", "--entrypoint", "id", image, "-u").strip() != "0"
    )


def test_completes_in_a_shell_inside_and_from_outside(confined_output):
    assert "snnb" in confined_output("-ic", "complete -p snnb", entrypoint="bash")
    question = (
        "-e",
        "_SNNB_COMPLETE=complete_bash",
        "-e",
        "COMP_WORDS=snnb sim",
        "-e",
        "COMP_CWORD=1",
    )
    assert confined_output(options=question).split() == ["simulate"]
