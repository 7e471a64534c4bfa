"""A page of a network that nobody trained: 150 layers, with residual connections, of made-up rates."""

from types import SimpleNamespace

import numpy as np

from snnb.graph.populations import GraphPopulation, Recording
from snnb.graph.projection import ProjectionSummary, Spread
from snnb.report.network_sections import network_sections
from snnb.report.page import Page, render
from snnb.report.result_sections import activations_section, confusion_section, rates_section


def deep_page(layers=150, neurons=2000):
    random = np.random.RandomState(0)
    names = ["input", *(f"{i:03d}Conv2D_112x112x{16 << i // 50}" for i in range(1, layers + 1))]
    links = [(i, i + 1) for i in range(layers)] + [(i, i + 3) for i in range(0, layers - 3, 3)]
    spread = Spread(-1.5, 0.01, 2.5, 1e4)
    recording = Recording(1, 100, 0, 1.0)
    populations = [
        GraphPopulation(
            name, (10, 10, neurons // 100), "Conv2D", 0, "spikes", recording=recording, stored_counts=counts
        )
        for name, counts in zip(names, random.randint(0, 100, (len(names), neurons)))
    ]
    size = populations[0].size
    projections = [
        SimpleNamespace(
            source=populations[source],
            target=populations[target],
            connections=[],
            out_degrees=random.randint(1, 10**6, size),
            in_degrees=random.randint(1, 10**6, size),
        )
        for source, target in links
    ]
    graph = SimpleNamespace(
        populations=populations,
        layers=populations[1:],
        projections=projections,
        summary=lambda: [
            ProjectionSummary("Conv2D", names[source], names[target], 10**8, 5, *[spread] * 4, 1e9)
            for source, target in links
        ],
        class_name=None,
        number_of_neurons=lambda: 10**8,
        number_of_edges=lambda: 10**10,
    )
    rates = {name: random.beta(1, 8, neurons) for name in names[1:]}
    activations = {name: values * 1.1 for name, values in rates.items()}
    cells = [(i, (i * 7) % 1000, 1 + i % 3) for i in range(1000)]
    sections = [
        *network_sections(graph),
        confusion_section(cells, [f"class number {i} of a thousand" for i in range(1000)]),
        rates_section(rates),
        activations_section(rates, activations, ["Made up."]),
    ]
    figures = [("synapses", f"{10**10:,}"), ("neurons", f"{10**8:,}")]
    return render(
        Page("a_very_deep_network_whose_name_is_long_too on imagenet", "", "/made/up" * 20, figures, sections, "")
    )
