import subprocess
import sys

import pytest

from snnb.architectures import find, names
from snnb.architectures.registry import ModelSpec, architecture
from snnb.core.errors import UsageError
from snnb.training.recipe import Recipe


def test_a_model_is_found_by_snake_case_and_by_its_historical_class_name():
    assert find("lenet_cifar10").spec.name == "lenet_cifar10"
    assert find("LeNet_Cifar10").spec.name == "lenet_cifar10"
    assert find("MultiLayerPerceptron_Mnist").spec.name == "mlp_mnist"
    assert find("Alexnet_Mnist224").spec.name == "alexnet_mnist224"


def test_names_that_share_a_beginning_are_told_apart():
    assert find("LeNet_Cifar100").spec.num_classes == 100
    with pytest.raises(UsageError, match="lenet_cifar10"):
        find("LeNet_Cifar1")


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match=r"unknown model 'lenet_cifra10': did you mean lenet_cifar10\?"):
        find("lenet_cifra10")
    with pytest.raises(UsageError, match="snnb models"):
        find("x")


def test_every_historical_name_leads_to_its_model():
    assert [find(find(name).spec.historical_name).spec.name for name in names()] == names()
    assert len(names()) == 27


def test_two_models_of_one_name_are_refused():
    spec = ModelSpec("LeNetCifar10", "Other", "digits", (8, 8, 1), 10, 1, 1, "test", Recipe())
    with pytest.raises(ValueError, match="two models are called"):
        architecture(spec)(lambda input_shape, num_classes: None)
    assert "LeNetCifar10" not in names()


def test_specs_are_read_without_tensorflow():
    code = "import sys; import snnb.architectures as a; a.find('vgg16_imagenet'); sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_settings_are_the_hyper_parameters_of_the_build_function():
    assert dict(find("lenet_mnist").spec.settings) == {"filters": (6, 16), "units": (120, 84)}
    assert find("autoencoder_mnist").spec.settings["code"] == 10
