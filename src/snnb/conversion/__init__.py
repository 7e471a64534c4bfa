"""Trained Keras model to parsed, verified and normalised network."""
