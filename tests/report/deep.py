"""A page of a network that nobody trained: 150 layers, with residual connections, of made-up rates."""

import numpy as np

from snnb.graph.populations import GraphPopulation
from snnb.graph.statistics import ProjectionSummary, Spread
from snnb.report.network_sections import GraphFacts, PopulationFacts, ProjectionFacts, network_sections
from snnb.report.page import Page, render
from snnb.report.result_sections import activations_section, confusion_section, rates_section


def deep_page(layers=150, neurons=2000):
    random = np.random.RandomState(0)
    names = ["input", *(f"{i:03d}Conv2D_112x112x{16 << i // 50}" for i in range(1, layers + 1))]
    links = [(i, i + 1) for i in range(layers)] + [(i, i + 3) for i in range(0, layers - 3, 3)]
    spread = Spread(-1.5, 0.01, 2.5, 1e4)
    populations = [
        PopulationFacts(
            GraphPopulation(name, (112, 112, 64), "Conv2D", 0, "spikes"),
            float(random.rand()),
            0.1,
            1e6 * random.rand(),
        )
        for name in names
    ]
    projections = [
        ProjectionFacts(
            source,
            target,
            ProjectionSummary("Conv2D", names[source], names[target], 10**8, 5, spread, spread, spread, spread, 1e9),
            0.01,
            1e6 * random.rand(),
        )
        for source, target in links
    ]
    some = 10 ** (6 * random.rand(10_000))
    facts = GraphFacts(populations, projections, 10**8, 10**10, some, some, some)
    rates = {name: random.beta(1, 8, neurons) for name in names[1:]}
    activations = {name: values * 1.1 for name, values in rates.items()}
    cells = [(i, (i * 7) % 1000, 1 + i % 3) for i in range(1000)]
    sections = [
        *network_sections(facts),
        confusion_section(cells, [f"class number {i} of a thousand" for i in range(1000)]),
        rates_section(rates),
        activations_section(rates, activations, ["Made up."]),
    ]
    figures = [("synapses", f"{10**10:,}"), ("neurons", f"{10**8:,}")]
    return render(
        Page("a_very_deep_network_whose_name_is_long_too on imagenet", "/made/up" * 20, figures, sections, "")
    )
