"""The analogue forward pass of a network, by ONNX Runtime."""
