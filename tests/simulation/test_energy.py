"""Out-degrees against the Jacobian of the layers, synapses against the models' published numbers."""

import numpy as np
import pytest

from snnb.network.read_network import read_network


def _synapses(model, path):
    from snnb.conversion.h5 import save_keras

    save_keras(model, path, "model")
    return sum(int(leaving.sum()) for leaving in read_network(path).fan_out().values())


@pytest.mark.parametrize("name", ["mini_network", "lenet_mnist", "cnn_mnist"])
def test_synapses_of_the_models(name, tmp_path):
    from tensorflow.keras import Model

    from snnb.architectures import find

    spec = find(name).spec
    model = find(name).build(input_shape=spec.input_shape, num_classes=spec.num_classes)
    assert _synapses(Model(model.inputs, model.outputs), tmp_path / "m.h5") == spec.synapses


def test_degrees_are_the_nonzero_derivatives_of_the_currents(branched):
    """All weights positive, a synapse is where a population's current changes with a neuron's activity."""
    import tensorflow as tf

    model, network = branched.keras, branched.network
    model.set_weights([np.abs(weight) + 0.01 for weight in model.get_weights()])
    degrees = network.fan_out()
    sources = {name: tf.ones((1, *degree.shape)) for name, degree in degrees.items()}

    def computed(name):
        """A layer's output, from Keras itself, when `sources` are what the populations put out."""
        inputs = [sources[i] if i in sources else computed(i) for i in network.volume(name).inputs]
        return model.get_layer(name)(inputs if len(inputs) > 1 else inputs[0])

    found = {name: np.zeros(degree.shape, int) for name, degree in degrees.items()}
    for layer in network.populations:
        model.get_layer(layer.name).activation = tf.keras.activations.linear
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(sources)
            currents = tf.reshape(computed(layer.name), (-1,))
        jacobians = tape.jacobian(currents, sources, experimental_use_pfor=False)
        for name, jacobian in jacobians.items():
            if jacobian is not None:
                found[name] += np.count_nonzero(jacobian.numpy(), axis=(0, 1))
    for name, degree in degrees.items():
        np.testing.assert_array_equal(degree, found[name], err_msg=name)
