"""Scale factors of the weight normalisation: snnb's single pass compared with the toolbox's method, on two networks.

Each runs in a separate process, which reports seconds, its peak memory, the increase of memory over samples and
network, and the size of the files left on disk. The factors are compared.

    python benchmarks/normalise.py [--samples 5000] [--rounds 3] [--page]

Both run in turn. `--page` writes the table into docs/performance.md.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
from machine import cells, machine, write_table

NETWORKS = ("lenet_mnist", "rueckauer_cifar10")
HEAD = (
    "| network | | seconds | range | × toolbox | CPU s | peak MiB | above samples and network | disk MiB |",
    "|---|---|---:|---:|---:|---:|---:|---:|---:|",
)
BATCH_SIZE, PERCENTILE = 50, 99.9


def main() -> None:
    """Run all four in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(_measure(*options.child, samples=options.samples)))
        return
    title = f"{options.samples:,} samples, batches of {BATCH_SIZE}, percentile {PERCENTILE}, {options.rounds} rounds; "
    title += f"{machine()}:"
    lines = [*HEAD]
    for network in NETWORKS:
        results: Dict[str, List[Dict[str, Any]]] = {"toolbox": [], "snnb": []}
        for _ in range(options.rounds):
            for who, found in results.items():
                found.append(_in_a_process(network, who, options.samples))
        theirs = [one["seconds"] for one in results["toolbox"]]
        np.testing.assert_allclose(
            results["snnb"][0]["factors"], results["toolbox"][0]["factors"], rtol=1e-5
        )
        for who, found in results.items():
            of = {
                name: [one[name] for one in found]
                for name in found[0]
                if name != "factors"
            }
            middle = {name: np.median(values) for name, values in of.items()}
            faster = np.median(np.divide(theirs, of["seconds"]))
            lines.append(
                f"{'| |' if who == 'snnb' else f'| `{network}` |'} {who} | {cells(of['seconds'], 1)} | {faster:.1f} | "
                f"{middle['cpu_seconds']:.1f} | {middle['peak_mib']:,.0f} | {middle['grown_mib']:,.0f} | "
                f"{middle['disk_mib']:,.0f} |"
            )
    print("\n".join([title, *lines]))
    if options.page:
        write_table("normalisation", title, lines)


def _in_a_process(network: str, who: str, samples: int) -> Dict[str, Any]:
    command = [
        sys.executable,
        __file__,
        "--samples",
        str(samples),
        "--child",
        network,
        who,
    ]
    output = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return json.loads(output.splitlines()[-1])


def _measure(name: str, who: str, samples: int) -> Dict[str, Any]:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    from snntoolbox.conversion.utils import normalize_parameters

    from snnb.architectures import find
    from snnb.conversion.conversion_settings import ConversionSettings
    from snnb.conversion.normalise import measure
    from snnb.conversion.own_parser import parse_own
    from snnb.conversion.toolbox import to_parsed
    from snnb.conversion.toolbox_config import configuration, quiet
    from snnb.forward.analogue import Analogue
    from snnb.training.keras_model import trained_network

    architecture = find(name)
    shape = architecture.input_shape
    random = np.random.default_rng(0)
    x = random.random((samples, *shape), dtype=np.float32)
    model = architecture.build(input_shape=shape, num_classes=10)
    # The same weights in both processes, whatever Keras draws.
    model.set_weights(
        [
            random.uniform(0.5, 1, weight.shape)
            if "variance" in weight.name
            else random.normal(0, 1, weight.shape)
            / np.sqrt(max(1, np.prod(weight.shape[:-1])))
            for weight in model.weights
        ]
    )
    config = configuration(
        name, [ConversionSettings(batch_size=BATCH_SIZE, percentile=PERCENTILE)]
    )
    if who == "toolbox":
        parsed = to_parsed(model, config)
        parsed.predict(x[:BATCH_SIZE])
    else:
        network = parse_own(trained_network(model))
        Analogue(network).outputs(x[:BATCH_SIZE])
    before, started, cpu = _peak_mib(), time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as scratch, quiet():
        if who == "toolbox":
            normalize_parameters(parsed, config, x_norm=x, path=scratch)
            factors = json.loads(
                (Path(scratch) / f"{PERCENTILE}.json").read_text(encoding="utf-8")
            )
            del factors["input"]
        else:
            factors = dict(
                measure(
                    network, x, percentile=PERCENTILE, batch_size=BATCH_SIZE
                ).percentiles
            )
        disk = sum(
            path.stat().st_size for path in Path(scratch).rglob("*") if path.is_file()
        )
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mib": _peak_mib(),
        "grown_mib": _peak_mib() - before,
        "disk_mib": disk / 2**20,
        "factors": list(factors.values()),
    }


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
