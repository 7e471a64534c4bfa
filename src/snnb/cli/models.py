"""`snnb models`: the models that can be built."""

from snnb.cli import output


def models() -> None:
    """List the models with data set, input shape, neurons and synapses."""
    from snnb.architectures import find, names
    from snnb.architectures.registry import ListedModel

    found = [ListedModel.of(find(name).spec) for name in names()]
    rows = [[m.name, m.dataset, "×".join(map(str, m.input_shape)), f"{m.neurons:,}", f"{m.synapses:,}"] for m in found]
    head = ["model", "data set", "input", "neurons", "synapses"]
    output.current.result(output.table_lines([head, *rows], right=(3, 4), drop=(2, 1)), found)
