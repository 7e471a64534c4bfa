"""`snnb instances`: the graphs that come with the package for comparing mappings."""

from snnb.cli import output


def instances() -> None:
    """List the instances: graphs to compare mapping algorithms on, which `snnb graph --from instance:NAME` opens."""
    from snnb.instances import known_instances

    found = known_instances.instances()
    rows = [
        [one.full_name, f"{one.neurons:,}", f"{one.synapses:,}", f"{one.spikes:,.0f}", ", ".join(one.constraints)]
        for one in found
    ]
    head = ["instance", "neurons", "synapses", "spikes", "constraints"]
    lines = output.table_lines([head, *rows], right=(1, 2, 3), drop=(4,))
    output.current.result([*lines, "spikes: of a sample, by all neurons and inputs that have targets"], found)
