"""The stages, each in a container of its own, and what lies on the host afterwards."""

import json
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from snnb.architectures import find

pytestmark = pytest.mark.container
ROOT = Path(__file__).parents[2]
SNNB = Path(sys.executable).with_name("snnb")
STAGES = {
    "prepare": (),
    "train": ("--epochs", "2"),
    "parse": (),
    "simulate": ("--samples", "50", "--duration", "30"),
    "graph": (),
    "map": ("--hardware", "spinemap_5x5"),
}


def outside(*arguments):
    done = subprocess.run([SNNB, *arguments, "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_each_stage_in_a_container_of_its_own(confined_output, runs):
    details = {}
    for stage, options in STAGES.items():
        command = (
            stage,
            "--model",
            "mini_network",
            *options,
            "--no-upstream",
            "--json",
        )
        done = json.loads(
            confined_output(*command, options=("--volume", f"{runs}:/runs"))
        )["stages"][-1]
        assert (done["stage"], done["ran"]) == (stage, True)
        details[stage] = done["details"]
    assert details["graph"]["synapses"] == find("mini_network").synapses
    mapping = details["map"]
    assert (
        mapping["traffic"]["connectivity"]
        <= mapping["sequential"]["sequential_connectivity"]
    )

    run = runs / "mini_network"
    assert outside("verify", str(run))["files"] > 20
    # The packages of this machine are not those of the image; that makes nothing stale.
    assert [stage["up_to_date"] for stage in outside("status", str(run))["stages"]] == [
        True
    ] * len(STAGES)
    owners = [path.stat() for path in run.rglob("*")]
    assert {(owner.st_uid, owner.st_gid) for owner in owners} == {(12345, 12345)}
    read_only = ("--volume", f"{run}:/elsewhere:ro")
    assert "all match the manifest" in confined_output(
        "verify", "/elsewhere", options=read_only
    )


def test_trains_in_an_empty_container(output_of, image):
    """The accuracy is that of a trained network, three standard errors (360 test samples) below 0.97."""
    output = output_of(
        "--network", "none", image, "train", "--model", "mini_network", "--json"
    )
    stages = json.loads(output)["stages"]
    assert [(done["stage"], done["ran"]) for done in stages] == [
        ("prepare", True),
        ("train", True),
    ]
    assert stages[-1]["details"]["test_accuracy"] > 0.94


@pytest.mark.parametrize("target", ["cpu"])
def test_stop_is_an_interruption(docker, image):
    command = ("train", "--model", "mini_network", "--epochs", "100000")
    name = docker(
        "run", "--detach", "--network", "none", image, *command
    ).stdout.strip()
    try:
        deadline = time.monotonic() + 120
        while (
            "epoch" not in docker("logs", name).stderr and time.monotonic() < deadline
        ):
            time.sleep(0.5)
        docker("stop", "--time", "60", name)
        assert "interrupted" in docker("logs", name).stderr
        assert (
            docker("inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip()
            == "143"
        )
    finally:
        docker("rm", "--force", "--volumes", name)


@pytest.fixture
def data(tmp_path):
    """A directory of data sets with a CIFAR-10 of 200 training and 40 test pictures of noise."""
    folder = tmp_path / "data" / "cifar10" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"):
        pictures = {
            b"labels": [n % 10 for n in range(40)],
            b"data": rng.integers(0, 256, (40, 3072), dtype=np.uint8),
        }
        (folder / name).write_bytes(pickle.dumps(pictures, protocol=2))
    return folder.parents[1]


@pytest.mark.parametrize("target", ["gpu"])
def test_the_line_that_stands_on_the_users_card(docker, data, runs):
    """`docker run snnb train --model lenet_cifar10`, with the data and the runs mounted; then the same through make."""
    mounts = ("--volume", f"{data}:/data:ro", "--volume", f"{runs}:/runs")
    docker(
        "run",
        "--rm",
        "--network",
        "none",
        *mounts,
        "snnb",
        "train",
        "--model",
        "lenet_cifar10",
    )
    stages = {
        stage["stage"]: stage
        for stage in outside("status", str(runs / "lenet_cifar10"))["stages"]
    }
    assert stages["train"]["up_to_date"]
    again = (
        "make",
        "parse",
        "IN=docker",
        f"RUN={runs / 'by_make'}",
        "MODEL=mini_network",
        "ARGS=--max-pool exact",
    )
    done = subprocess.run(
        again,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "SNNB_DATA": str(data)},
    )
    assert done.returncode == 0, done.stderr
    stages = {
        stage["stage"]: stage
        for stage in outside("status", str(runs / "by_make"))["stages"]
    }
    assert stages["parse"]["up_to_date"]
