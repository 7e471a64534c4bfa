"""The analogue forward pass of a network, in TensorFlow and in numpy."""
