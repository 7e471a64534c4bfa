"""`noxim`: the traffic of a mapping as input of Noxim, a simulator of networks on chip.

`traffic.txt` is its traffic table (davidepatti/noxim 4c8e72d,
src/GlobalTrafficTable.cpp): a line `src dst pir` for each pair of routers, with packets
per cycle; lines that begin with % are comments. What a line omits are rate of
retransmission, which is then `pir`, and times, without which the pair is active in all
cycles. Router x, y has the number y × width + x (src/Utils.h, `coord2Id`). `mesh.yaml`
is the configuration of the mesh.
"""

from pathlib import Path
from typing import Dict

import numpy as np
import yaml

from snnb.core.errors import UsageError
from snnb.formats.request import Format, MeshTraffic, Request
from snnb.graph.synapse_graph import SynapseGraph

TABLE, CONFIGURATION = "traffic.txt", "mesh.yaml"
LEAST_SIDE = (
    2  # routers along x and y (src/ConfigurationManager.cpp, `checkConfiguration`)
)
# Keys that Noxim requires; values of its config_examples/default_configMesh.yaml unless
# a comment says otherwise
SETTINGS = {
    "topology": "MESH",
    "buffer_depth": 4,
    "flit_size": 32,
    "r2h_link_length": 2.0,
    "r2r_link_length": 1.0,
    "n_virtual_channels": 1,
    "routing_algorithm": "XY",  # along x first, as the routes of a mapping
    "routing_table_filename": "",
    "dyad_threshold": 0.6,
    "selection_strategy": "RANDOM",
    "Hubs": {
        "defaults": {
            "rx_radio_channels": [0],
            "tx_radio_channels": [0],
            "attached_nodes": [],
            "to_tile_buffer_size": 4,
            "from_tile_buffer_size": 4,
            "tx_buffer_size": 4,
            "rx_buffer_size": 4,
        }
    },
    "RadioChannels": {
        "defaults": {"data_rate": 16, "ber": [0, 0], "mac_policy": ["TOKEN_PACKET"]}
    },
    "clock_period_ps": 1000,
    "reset_time": 1000,
    "simulation_time": 10000,
    "stats_warm_up_time": 1000,
    "detailed": False,
    "max_volume_to_be_drained": 0,
    "show_buffer_stats": False,
    "use_winoc": False,
    "use_wirxsleep": False,
    "verbose_mode": "VERBOSE_OFF",
    "trace_mode": False,
    "trace_filename": "",
    # Flits: the least that Noxim takes; a spike has an address and no content
    "min_packet_size": 2,
    "max_packet_size": 2,
    "packet_injection_rate": 0.01,  # replaced by the table
    "probability_of_retransmission": 0.01,
    "traffic_distribution": "TRAFFIC_TABLE_BASED",
    "traffic_table_filename": TABLE,
    "traffic_hardcoded_filename": "",
}


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the traffic table and the configuration; see `Format`."""
    traffic, scale = _traffic(request), _scale(request)
    width, height = (max(side, LEAST_SIDE) for side in traffic.routers)
    path.mkdir()
    counter = request.counter(traffic.spikes.size)
    numbers = (
        places[:, 1] * width + places[:, 0]
        for places in (traffic.source, traffic.target)
    )
    rows = zip(
        *(number.tolist() for number in numbers), (traffic.spikes * scale).tolist()
    )
    with (path / TABLE).open("w", encoding="utf-8") as file:
        file.write(
            f"% mapping {traffic.mapping['stamp']} onto "
            f"{traffic.mapping['hardware']}\n% src dst pir\n"
        )
        file.writelines(
            f"{source} {target} {rate!r}\n" for source, target, rate in rows
        )
    counter.add(traffic.spikes.size)
    mesh = {"mesh_dim_x": width, "mesh_dim_y": height}
    (path / CONFIGURATION).write_text(
        yaml.safe_dump({**mesh, **SETTINGS}, sort_keys=False), encoding="utf-8"
    )


def _traffic(request: Request) -> MeshTraffic:
    if request.traffic is None:
        raise UsageError("noxim requires a mapping; give its stamp with --map STAMP")
    return request.traffic


def _scale(request: Request) -> float:
    """Return packets per cycle / spikes per time step: that of the option, or that of clock cycles of 1 ns."""
    if request.options.scale is not None:
        return request.options.scale
    step_ns = _traffic(request).step_ns
    return 1.0 if not step_ns else 1.0 / step_ns


def _check(graph: SynapseGraph, request: Request) -> None:
    traffic, scale = _traffic(request), _scale(request)
    senders, sender = np.unique(traffic.source, axis=0, return_inverse=True)
    sent_spikes = np.bincount(sender.ravel(), traffic.spikes, len(senders))
    busiest = float(sent_spikes.max(initial=0.0))
    if busiest * scale > 1:
        x, y = senders[sent_spikes.argmax()].tolist()
        raise UsageError(
            f"noxim: router {x}, {y} would send {busiest * scale:.4g} packets per "
            "cycle, at most 1 is possible; give --scale (packets per cycle / spikes "
            f"per time step), at most {_rounded_down(1 / busiest)}"
        )


def _rounded_down(number: float) -> str:
    """Return a number with three digits that is at most the given one."""
    text = f"{number:.2e}"
    return (
        f"{float(text) if float(text) <= number else float(f'{number * 0.99:.2e}'):g}"
    )


def _described(graph: SynapseGraph, request: Request) -> Dict[str, object]:
    traffic = _traffic(request)
    numbers = {"pairs": traffic.spikes.size, "scale": _scale(request)}
    return {
        "noxim": {
            "mapping": traffic.mapping,
            "routers": list(traffic.routers),
            **numbers,
        }
    }


FORMAT = Format(
    "_noxim",
    write,
    _check,
    directory=True,
    needs_mapping=True,
    own_options=("map", "scale"),
    extra_description=_described,
)
