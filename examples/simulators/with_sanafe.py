"""Simulate the `sanafe` export of a run, the fifth argument, in SANA-FE 2.1 or 2.2."""

import json
import sys
from pathlib import Path

import exported as run
import numpy as np
import sanafe

cores = json.loads(Path(f"{sys.argv[5]}.json").read_text(encoding="utf-8"))["sanafe"][
    "cores"
]
Path("one_tile.yaml").write_text(
    """
architecture:
  name: one_tile
  attributes: {link_buffer_size: 1, topology: mesh, width: 1, height: 1}
  tile:
    - name: tile
      attributes: {energy_north_hop: 0.0, latency_north_hop: 0.0, energy_east_hop: 0.0, latency_east_hop: 0.0,
                   energy_south_hop: 0.0, latency_south_hop: 0.0, energy_west_hop: 0.0, latency_west_hop: 0.0}
      core:
        - name: core[0..LAST]
          attributes: {buffer_position: soma, buffer_inside_unit: false, max_neurons_supported: 1024}
          axon_in: [{name: axon_in, attributes: {energy_message_in: 0.0, latency_message_in: 0.0}}]
          synapse: [{name: synapse, attributes: {model: current_based, energy_process_spike: 0.0,
                     latency_process_spike: 0.0}}]
          dendrite: [{name: dendrite, attributes: {model: accumulator, energy_update: 0.0, latency_update: 0.0}}]
          soma: [{name: soma, attributes: {model: truenorth, energy_access_neuron: 0.0, latency_access_neuron: 0.0,
                  energy_update_neuron: 0.0, latency_update_neuron: 0.0, energy_spike_out: 0.0,
                  latency_spike_out: 0.0}}]
          axon_out: [{name: axon_out, attributes: {energy_message_out: 0.0, latency_message_out: 0.0}}]
""".replace("LAST", str(cores - 1)),
    encoding="utf-8",
)

architecture = sanafe.load_arch("one_tile.yaml")
network = sanafe.load_net(sys.argv[5], architecture, use_netlist_format=True)
chip = sanafe.SpikingChip(architecture)
chip.load(network)


def set_biases(population, biases):
    group = run.stated["populations"].index(population)
    for cell, bias in zip(chip.mapped_neuron_groups[str(group)], biases.tolist()):
        change = (
            cell.set_attributes
            if hasattr(cell, "set_attributes")
            else cell.set_model_attributes
        )
        change(model_attributes={"bias": bias})


spikes = []
for sample in range(run.samples):
    chip.reset()
    current, senders, when = (
        run.currents(sample) / run.neuron["threshold"],
        [],
        [],
    )  # in this file it is 1, or integers
    for population in run.populations:
        set_biases(population, np.zeros(population["size"]))
    for begin in range(
        run.last_step + 1
    ):  # biases begin at the first step of each population
        for population, part in zip(run.populations, run.parts):
            if population["first_step"] == begin:
                set_biases(population, current[part])
        run_steps = run.steps if begin == run.last_step else 1
        for step, fired in enumerate(
            chip.sim(run_steps, timing_model="simple", spike_trace=True)["spike_trace"],
            begin,
        ):
            for address in fired:
                senders.append(
                    run.stated["populations"][int(address.group_name)]["first_id"]
                    + address.neuron_offset
                )
                when.append(step)
    spikes.append((np.array(senders, int), np.array(when, int)))
run.compare(spikes)
