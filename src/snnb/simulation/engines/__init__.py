"""Engines that simulate a network. Nothing outside this folder knows a layer kind, a kernel or an engine's arrays."""
