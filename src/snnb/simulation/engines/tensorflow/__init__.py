"""The engine `tensorflow`, and the analogue network's forward pass."""
