"""From a model to the cores of a neuromorphic chip: train, simulate, map, and print cores and traffic.

python examples/network_on_cores.py runs/example [HARDWARE]
"""

import sys
from pathlib import Path

from snnb import Run, SynapseGraph
from snnb.mapping.files import Mapping


def main(path: Path, hardware: str) -> None:
    run = Run("mini_network", path=path, say=print)
    run.train(epochs=10)
    run.simulate(samples=100, duration=80)
    built = run.graph()
    mapped = run.map(hardware=hardware)

    mapping = Mapping.open(mapped.directory)
    print(mapping)
    cost = mapping.cost
    sequential = cost.sequential.sequential_connectivity
    print(
        f"spikes between cores per sample: {cost.traffic.connectivity:,.1f}, sequential mapping {sequential:,.1f}"
    )
    print(
        f"hops {cost.routes.hops_unicast:,.1f}, energy {cost.energy.picojoules:,.0f} pJ"
    )

    graph = SynapseGraph.open(built.directory / "mini_network_graph.h5")
    for core in range(mapping.cores):
        neurons = mapping.neurons_of(core)
        layers = sorted({graph.nodes[int(node)].population for node in neurons})
        x, y = mapping.place_of(core)
        print(
            f"core {core} at ({x}, {y}): {len(neurons)} neurons of {', '.join(layers)}"
        )
    source, target = divmod(int(mapping.traffic.toarray().argmax()), mapping.cores)
    print(
        f"most spikes go from core {source} to core {target}: {mapping.traffic[source, target]:,.1f} per sample"
    )
    print("the last neuron is on core", mapping.core_of(graph.number_of_nodes() - 1))


if __name__ == "__main__":
    place = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/example")
    main(place, sys.argv[2] if len(sys.argv) > 2 else "spinemap_5x5")
