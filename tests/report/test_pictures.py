"""Diagrams of networks from 3 to 150 layers, straight, residual, branched and dense; what a section shows of much."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from snnb.forward import analogue
from snnb.forward.analogue import mean_activations
from snnb.graph.synapse_graph import SynapseGraph
from snnb.network.read_network import read_network
from snnb.report import network_sections, simulation_sections
from snnb.report.diagram import BEND, BOX, MARGIN, TALL, Arrow, Box, depths, diagram
from snnb.report.write_report import write_report
from snnb.stages.open_run import open_run

SVG = "{http://www.w3.org/2000/svg}"


def draw(picture):
    """The parsed picture, and its width and height."""
    root = ElementTree.fromstring(
        str(picture).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    )
    return root, [float(length) for length in root.get("viewBox").split()[2:]]


def boxes_of(root):
    """The corners (left, top) of the boxes that have a frame."""
    return [
        (float(r.get("x")), float(r.get("y")))
        for r in root.iter(f"{SVG}rect")
        if r.get("stroke")
    ]


def straight(layers):
    return [Arrow(i, i + 1, 1.0, "") for i in range(layers)]


def network(kind, layers):
    arrows = straight(layers)
    if kind == "residual":
        arrows += [Arrow(i, i + 3, 1.0, "") for i in range(0, layers - 3, 3)]
    if kind == "dense":
        arrows += [
            Arrow(i, j, 1.0, "")
            for i in range(layers)
            for j in range(i + 2, layers + 1)
        ]
    return [
        Box(f"{i:02d}Conv2D_112x112x64", "112×112×64, rate 0.123", 0.5)
        for i in range(layers + 1)
    ], arrows


@pytest.mark.parametrize("kind", ["straight", "residual", "dense"])
@pytest.mark.parametrize("layers", [1, 3, 20, 150])
def test_boxes_do_not_overlap_and_nothing_leaves_the_picture(kind, layers):
    boxes, arrows = network(kind, layers if kind != "dense" else min(layers, 40))
    root, (width, height) = draw(diagram(boxes, arrows))
    corners = boxes_of(root)
    assert len(corners) == len(boxes)
    tops = [top for _, top in corners]
    assert min(np.diff(tops)) > TALL + 10  # and room for an arrow
    assert max(seconds_left + BOX for seconds_left, _ in corners) <= width - MARGIN
    assert max(tops) + TALL <= height - MARGIN
    assert width <= BOX + 2 * MARGIN + BEND
    lines = [path.get("d") for path in root.iter(f"{SVG}path")]
    absolute = " ".join(line for line in lines if "h" not in line and "v" not in line)
    positions = np.array(re.findall(r"(-?[\d.]+) (-?[\d.]+)", absolute), float)
    # A curve stays within three quarters of the way to its control points, which may lie outside.
    assert positions[:, 0].min() >= 0
    assert (positions[:, 0] - BOX - MARGIN).max() * 0.75 <= width - BOX - MARGIN
    assert ((positions[:, 1] >= 0) & (positions[:, 1] <= height)).all()


@pytest.mark.parametrize("layers", [2, 20, 150])
def test_arrows_of_cycles_are_on_the_left(layers):
    """A chain that closes to a cycle, each population onto itself too; then a population that only reads it."""
    ends = (
        [(i, i) for i in range(layers)]
        + [(i, i + 1) for i in range(layers)]
        + [(layers - 1, 0)]
    )
    arrows = [Arrow(*end, 1.0, "") for end in ends]
    assert depths(layers + 1, arrows) == list(range(layers + 1))
    # Numbers of populations do not decide where there is no cycle
    assert depths(3, [Arrow(2, 0, 1.0, ""), Arrow(0, 1, 1.0, "")]) == [1, 2, 0]
    root, _ = draw(diagram([Box("", "", 0)] * (layers + 1), arrows))
    edge = min(seconds_left for seconds_left, _ in boxes_of(root))
    curves = [path.get("d") for path in root.iter(f"{SVG}path") if "C" in path.get("d")]
    assert len(curves) == layers + 1
    for line in curves:
        x, _, near, *_ = (float(number) for number in re.findall(r"-?[\d.]+", line))
        assert x == edge > near


def test_the_width_of_an_arrow_is_its_traffic():
    boxes = [Box(str(i), "", 0) for i in range(4)]
    root, _ = draw(
        diagram(boxes, [Arrow(0, 1, 100, ""), Arrow(1, 2, 50, ""), Arrow(2, 3, 0, "")])
    )
    lines = [path for path in root.iter(f"{SVG}path") if path.get("stroke-width")]
    widths = [float(path.get("stroke-width")) for path in lines]
    assert widths[0] == 2 * widths[1]
    assert widths[2] < widths[1]
    assert lines[2].get("stroke") != lines[1].get(
        "stroke"
    )  # what carries nothing is grey
    nothing, _ = draw(
        diagram(boxes, [arrow._replace(carries=0.0) for arrow in straight(3)])
    )
    assert (
        len(
            {
                path.get("stroke-width")
                for path in nothing.iter(f"{SVG}path")
                if path.get("stroke-width")
            }
        )
        == 1
    )


def test_names_are_shortened_in_the_middle_whole_where_the_mouse_is_and_escaped():
    name = "a_very_long_name_of_a_layer_<b>&_from_somebody_else"
    root, _ = draw(
        diagram([Box(name, "1", 0), Box("\x1b[31m\u202e", "2", 0)], straight(1))
    )
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert len(texts[0]) == 27
    assert (texts[0][:13], texts[0][-13:]) == (name[:13], name[-13:])
    assert f"{name}: 1" in [title.text for title in root.iter(f"{SVG}title")]
    assert texts[2] == "\\x1b[31m\\u202e"


def population_rows(graph):
    """Return the rows of the table of populations."""
    sections = network_sections.network_sections(graph)
    (populations,) = [part for part in sections if part.key == "populations"]
    return populations.tables[0].rows


def test_of_many_rows_those_with_the_most_traffic_are_shown_in_order(
    recorded_run, monkeypatch
):
    (path,) = recorded_run.path.glob("graphs/*/mini_network_graph.h5")
    with SynapseGraph.open(path) as graph:
        all_rows = population_rows(graph)
        monkeypatch.setattr(network_sections, "MOST_ROWS", 3)
        busiest_rows = population_rows(graph)
    traffic = [float(row[-1]) for row in all_rows]
    assert traffic[2] > traffic[3] > traffic[1] > max(traffic[0], traffic[4])
    assert busiest_rows == all_rows[1:4]


def test_few_samples_of_a_large_network_are_computed_and_the_blocks_are_the_whole(
    recorded_run, monkeypatch
):
    network = read_network(recorded_run.path / "parse" / "mini_network_parsed.h5")
    x = np.load(recorded_run.path / "dataset" / "x_test.npy")[:7]
    whole_activations = mean_activations(network, x, 16.0)
    monkeypatch.setattr(analogue, "choose_batch_size", lambda elements: 2)
    for name, values in mean_activations(network, x, 16.0).items():
        np.testing.assert_allclose(
            values, whole_activations[name], rtol=1e-5, atol=1e-7
        )


@pytest.mark.parametrize(
    ("operations_of_samples", "extra_operations", "selection"),
    [(7, 1, "the first 7 of 60"), (60, 0, "all"), (0, 1, "the first 1 of 60")],
)
def test_a_report_states_for_how_many_samples_it_has_activations(
    run, document, monkeypatch, operations_of_samples, extra_operations, selection
):
    network = read_network(run.path / "parse" / "mini_network_parsed.h5")
    synapses = sum(int(leaving.sum()) for leaving in network.fan_out().values())
    operations = synapses * operations_of_samples + extra_operations
    monkeypatch.setattr(simulation_sections, "MOST_OPERATIONS", operations)
    page = document(write_report(open_run(run.path)).read_text())
    assert f"over {selection} simulated samples" in page.text("activations")
