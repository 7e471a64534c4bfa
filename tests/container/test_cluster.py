"""The cluster of docker/compose.yaml: a scheduler and two workers in containers, and a simulation that they share.

The daemon of the tests has no network of its own, so the containers share that of the machine, and `scheduler` is a
name for it; all else is as the file says.
"""

import re
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.container
COMPOSE = Path(__file__).parents[2] / "docker" / "compose.yaml"
ADDRESS = "tcp://scheduler:8786"
NETWORK = ("--network", "host", "--add-host", "scheduler:127.0.0.1")


@pytest.fixture
def cluster(docker):
    """Containers of the scheduler and the workers."""
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    begun = []

    def start(name):
        service = services[name]
        words = [
            re.sub(r"\$\{\w+:-(.*?)\}", r"\1", word) for word in service["entrypoint"]
        ]
        assert service["read_only"] is True
        options = (
            "--read-only",
            "--tmpfs",
            service["tmpfs"],
            "--user",
            "12345:12345",
            *NETWORK,
        )
        container = ("--entrypoint", words[0], service["image"], *words[1:])
        begun.append(docker("run", "--detach", *options, *container).stdout.strip())
        return begun[-1]

    start("scheduler")
    for _ in range(services["worker"]["deploy"]["replicas"]):
        start("worker")
    yield begun
    for container in begun:
        docker("rm", "--force", "--volumes", container)


@pytest.mark.parametrize("target", ["cpu"])
def test_two_workers_in_containers_count_what_one_process_counts(
    docker, image, cluster, tmp_path
):
    runs = tmp_path / "runs"
    runs.mkdir()
    runs.chmod(0o777)
    own_command = (
        "--read-only",
        "--tmpfs",
        "/tmp",
        "--user",
        "12345:12345",
        "--volume",
        f"{runs}:/runs",
    )

    def snnb(*words, network=("--network", "none")):
        same = ("--run-dir", "/runs/x", "--input", "poisson", "--samples", "200")
        docker("run", "--rm", *own_command, *network, image, *words, *same)

    snnb("simulate", "--model", "mini_network", "--label", "alone")
    snnb("simulate", "--scheduler", ADDRESS, "--label", "shared", network=NETWORK)
    docker("kill", cluster[-1])
    snnb("simulate", "--scheduler", ADDRESS, "--label", "one worker", network=NETWORK)
    sums = [
        path.read_bytes()
        for path in sorted(runs.glob("x/simulations/*/spike_rate_sums.npz"))
    ]
    assert len(sums) == 3
    assert sums[0] == sums[1] == sums[2]
    empty = (
        "--user",
        "0",
        "--network",
        "none",
        "--volume",
        f"{runs}:/runs",
        "--entrypoint",
        "find",
    )
    docker("run", "--rm", *empty, image, "/runs", "-mindepth", "1", "-delete")
