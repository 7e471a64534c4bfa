"""What a person looks at: one page a run, and simulations beside each other. No TensorFlow."""
