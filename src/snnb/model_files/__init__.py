"""Trained models in files of other programs: Keras from 2.3 on, PyTorch through ONNX. Each becomes a model of Keras."""
