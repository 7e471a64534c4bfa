from pathlib import Path

import pytest

from snnb.architectures import find, names

LINES = (Path(__file__).parents[2] / "docs/models.md").read_text().splitlines()


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("lenet_cifar10", "lenet_cifar10"),
        ("LeNet_Cifar10", "lenet_cifar10"),
        ("MultiLayerPerceptron_Mnist", "mlp_mnist"),
    ],
)
def test_a_model_is_found_by_snake_case_and_by_its_historical_class_name(name, model):
    assert find(name).name == model
    assert len(names()) == 28


def test_settings_are_the_hyper_parameters_of_the_build_function():
    assert dict(find("lenet_mnist").settings) == {"filters": (6, 16), "units": (120, 84)}
    assert list(find("vgg16_imagenet").settings) == ["filters", "units", "dropout"]
    assert find("autoencoder_mnist").settings["code"] == 10


@pytest.mark.parametrize("name", names())
def test_the_page_of_the_models_says_what_the_spec_says(name):
    spec = find(name)
    [line] = [line for line in LINES if line.startswith(f"| `{name}` | {spec.dataset} ")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[3:5] == [f"{spec.neurons:,}", f"{spec.synapses:,}"]
    assert "×".join(map(str, spec.input_shape)) in cells[1]
