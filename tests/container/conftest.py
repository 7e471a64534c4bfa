"""The images that docker/build makes, and how the tests run them."""

import subprocess
from typing import Callable

import pytest

# A user that neither the image nor this machine knows, and nothing to write to but the volumes and /tmp.
CONFINED = (
    "--read-only",
    "--tmpfs",
    "/tmp",
    "--network",
    "none",
    "--user",
    "12345:12345",
)

Docker = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def docker() -> Docker:
    """Run a docker command, which must succeed."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            ["docker", *arguments], capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, (
            f"docker {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        )
        return done

    return run


@pytest.fixture(params=["cpu", "gpu"])
def target(request) -> str:
    """Which of the two images."""
    return request.param


@pytest.fixture
def image(target) -> str:
    return f"snnb:{target}"


@pytest.fixture
def runs(tmp_path, docker, image):
    """A directory for runs that any user may write to; emptied by root, who alone may in the end."""
    directory = tmp_path / "runs"
    directory.mkdir()
    directory.chmod(0o777)
    yield directory
    empty = (
        "--user",
        "0",
        "--network",
        "none",
        "--volume",
        f"{directory}:/runs",
        "--entrypoint",
        "find",
    )
    docker("run", "--rm", *empty, image, "/runs", "-mindepth", "1", "-delete")


@pytest.fixture(scope="session")
def output_of(docker) -> Callable[..., str]:
    """Run a container to its successful end; gives what it printed.

    On a busy machine Docker may lose all output of a container that ends at once (as in moby issue 43121). A container
    without output runs again.
    """

    def run(*arguments: str) -> str:
        for _ in range(5):
            name = docker("run", "--detach", *arguments).stdout.strip()
            code, logs = docker("wait", name).stdout.strip(), docker("logs", name)
            docker("rm", name)
            assert code == "0", (
                f"docker run {' '.join(arguments)}\n{logs.stdout}\n{logs.stderr}"
            )
            if logs.stdout:
                return logs.stdout
        raise AssertionError(
            f"docker run {' '.join(arguments)}: five containers printed nothing"
        )

    return run


@pytest.fixture
def confined_output(output_of, image) -> Callable[..., str]:
    """Run snnb, or the command `entrypoint`, in the image, confined as CONFINED says; gives what it printed."""

    def run(*arguments: str, entrypoint: str = "snnb", options: tuple = ()) -> str:
        return output_of(
            *CONFINED, *options, "--entrypoint", entrypoint, image, *arguments
        )

    return run
