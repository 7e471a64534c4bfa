"""Train, convert and simulate a network, and look at its synapse graph, from Python.

python examples/one_network.py runs/example
"""

import sys
from pathlib import Path

from snnb import Run, SynapseGraph


def main(path: Path) -> None:
    run = Run("mini_network", path=path, say=print)
    run.train(epochs=10)
    run.parse()
    simulation = run.simulate(samples=100, duration=80)
    built = run.graph()
    print("accuracies", simulation.metrics)

    graph = SynapseGraph.open(built.directory / "mini_network_graph.h5")
    print(f"{graph.number_of_nodes():,} nodes, {graph.number_of_edges():,} synapses")
    for source in graph.predecessors(graph.number_of_nodes() - 1)[:3]:
        print("the last neuron listens to neuron", source)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/example"))
