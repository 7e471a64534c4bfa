"""snnb:today, the image of today's Python and TensorFlow: it is not locked, so what is in it is asked of it."""

import json

import pytest

from snnb.architectures import find

pytestmark = [pytest.mark.container, pytest.mark.parametrize("target", ["today"])]


def test_has_a_tensorflow_of_today_and_no_toolbox(confined_output):
    document = json.loads(confined_output("doctor", "--json"))
    assert (document["tensorflow_imports"], document["snntoolbox"]) == ("imports", None)
    assert int(document["python"].split(".")[1]) >= 12
    assert tuple(map(int, document["tensorflow"].split(".")[:2])) >= (2, 16)


def test_runs_all_stages(docker, image):
    """As the user of the image, who is not root; for the accuracy see test_trains_in_an_empty_container."""
    assert (
        docker(
            "run", "--rm", "--network", "none", "--entrypoint", "id", image, "-u"
        ).stdout.strip()
        == "1000"
    )
    ran = docker(
        "run",
        "--rm",
        "--network",
        "none",
        image,
        "run",
        "--model",
        "mini_network",
        "--json",
    ).stdout
    stages = {done["stage"]: done for done in json.loads(ran)["stages"]}
    assert list(stages) == ["prepare", "train", "parse", "simulate", "graph"]
    assert stages["train"]["details"]["test_accuracy"] > 0.94
    assert stages["graph"]["details"]["synapses"] == find("mini_network").synapses
