"""The HTML page of a run and its figures, and figures that compare simulations. No TensorFlow."""
