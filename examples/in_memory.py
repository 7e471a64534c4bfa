"""Compare mappings of a network in memory: no run directory, no files."""

import snnb
from snnb.architectures import find

digits = snnb.load_dataset("digits")
# A network in the package; snnb.read takes your file, snnb.from_torch your module.
trained = snnb.read(find("digits_example").file)
network = snnb.convert(trained, digits.train.images, scale=16, calibrate=16)
activity = snnb.simulate(
    network, digits.test.images, digits.test.labels, scale=16, record_spikes=3
)
print(network, activity, activity.predictions[:10])

graph = snnb.build_graph(network, activity)
print(graph)
for objective in ("hops", "energy"):
    mapping = snnb.map_graph(
        graph, "spinemap_5x5", objective=objective, activity=activity
    )
    cost = mapping.cost
    print(objective, mapping, cost.routes.hops_unicast, cost.energy.network_energy_pj)
