"""The engine `event`, with one thread.

python event_engine.py PARSED SAMPLES RESULT STEPS
"""

import sys
import time
from pathlib import Path

import numpy as np

from snnb.network.read_network import read_network
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.settings import SimulationSettings

network, x = read_network(Path(sys.argv[1])), np.load(sys.argv[2])
x = x.reshape(-1, *network.input.shape)
engine = EventEngine(
    network, SimulationSettings(samples=len(x), duration=int(sys.argv[4]))
)
engine.simulate(x, 0, lambda *_: None)  # compiles
began = time.perf_counter()
counts = engine.simulate(x, 0, lambda *_: None).counts
seconds = time.perf_counter() - began
np.savez(
    sys.argv[3],
    seconds=seconds,
    **{name: layer.reshape(len(x), -1) for name, layer in counts.items()},
)
