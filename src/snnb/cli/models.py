"""`snnb models`: what can be built."""

from snnb.cli import output


def models() -> None:
    """List the models with data set, input shape, neurons and synapses."""
    console = output.current
    from snnb.architectures import find, names

    specs = [find(name).spec for name in names()]
    rows = [[s.name, s.dataset, "×".join(map(str, s.input_shape)), f"{s.neurons:,}", f"{s.synapses:,}"] for s in specs]
    head = ["model", "data set", "input", "neurons", "synapses"]
    document = [
        {
            "name": s.name,
            "dataset": s.dataset,
            "input_shape": s.input_shape,
            "classes": s.num_classes,
            "neurons": s.neurons,
            "synapses": s.synapses,
            "settings": dict(s.settings),
            "source": s.source,
        }
        for s in specs
    ]
    console.result(output.table_lines([head, *rows], right=(3, 4), drop=(2, 1)), document)
