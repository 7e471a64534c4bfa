from pathlib import Path

import pytest

from snnb.architectures import find, names

LINES = (Path(__file__).parents[2] / "docs/models.md").read_text().splitlines()


@pytest.mark.parametrize("name", names())
def test_the_page_of_the_models_says_what_the_spec_says(name):
    spec = find(name).spec
    [line] = [line for line in LINES if line.startswith(f"| `{name}` | {spec.dataset} ")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[-2:] == [f"{spec.neurons:,}", f"{spec.synapses:,}"]
    assert "×".join(map(str, spec.input_shape)) in cells[1]
