"""Trained models in files of other programs.

Models of Keras from 2.3 on, and of PyTorch through ONNX, become a `TrainedNetwork`;
networks in NIR files become a `Network`.
"""
