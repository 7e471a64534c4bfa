"""Trained Keras model to parsed, verified and normalised network; the only package that imports snntoolbox."""
