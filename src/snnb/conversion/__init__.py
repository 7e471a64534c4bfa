"""From a trained Keras model to a parsed, verified and normalised one; the only room that imports the toolbox."""
