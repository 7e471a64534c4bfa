"""Training a Keras network, and evaluating one that is already trained."""
