"""Scale factors of the weight normalisation: snnb's single pass compared with the toolbox's method, on two networks.

Each runs in a separate process, which reports seconds, its peak memory, the increase of memory over samples and
network, and the size of the files left on disk. The factors are compared bit for bit.

    python benchmarks/normalise.py [--samples 5000]
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
from typing import Any, Dict

from machine import machine

NETWORKS = ("lenet_mnist", "rueckauer_cifar10")
BATCH_SIZE, PERCENTILE = 50, 99.9


def main() -> None:
    """Run all four in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(_measure(*options.child, samples=options.samples)))
        return
    print(machine())
    print(f"{options.samples} samples, batches of {BATCH_SIZE}, percentile {PERCENTILE}")
    print(f"{'network':18} {'':8} {'seconds':>8} {'CPU s':>8} {'peak MiB':>9} {'grown by':>9} {'disk MiB':>9}")
    for network in NETWORKS:
        results = {who: _in_a_process(network, who, options.samples) for who in ("toolbox", "snnb")}
        for who, result in results.items():
            figures = "{seconds:8.1f} {cpu_seconds:8.1f} {peak_mib:9.0f} {grown_mib:9.0f} {disk_mib:9.1f}".format(
                **result
            )
            print(f"{network:18} {who:8} {figures}")
        theirs, ours = results["toolbox"], results["snnb"]
        equal = theirs["factors"] == ours["factors"]
        print(
            f"{'':18} {theirs['seconds'] / ours['seconds']:.1f}× faster, "
            f"{theirs['peak_mib'] / ours['peak_mib']:.1f}× less memory, factors "
            f"{'equal to the last bit' if equal else 'DIFFER'}"
        )


def _in_a_process(network: str, who: str, samples: int) -> Dict[str, Any]:
    command = [sys.executable, __file__, "--samples", str(samples), "--child", network, who]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def _measure(network: str, who: str, samples: int) -> Dict[str, Any]:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    import numpy as np
    from snntoolbox.conversion.utils import normalize_parameters

    from snnb.architectures import find
    from snnb.conversion.conversion_settings import ConversionSettings
    from snnb.conversion.normalise import measure
    from snnb.conversion.toolbox import to_parsed
    from snnb.conversion.toolbox_config import configuration, quiet

    architecture = find(network)
    shape = architecture.input_shape
    random = np.random.default_rng(0)
    x = random.random((samples, *shape), dtype=np.float32)
    model = architecture.build(input_shape=shape, num_classes=10)
    # The same weights in both processes, whatever Keras draws.
    model.set_weights(
        [
            random.uniform(0.5, 1, weight.shape)
            if "variance" in weight.name
            else random.normal(0, 1, weight.shape) / np.sqrt(max(1, np.prod(weight.shape[:-1])))
            for weight in model.weights
        ]
    )
    config = configuration(network, [ConversionSettings(batch_size=BATCH_SIZE, percentile=PERCENTILE)])
    parsed = to_parsed(model, config)
    parsed.predict(x[:BATCH_SIZE])
    before, started, cpu = _peak_mib(), time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as scratch, quiet():
        if who == "toolbox":
            normalize_parameters(parsed, config, x_norm=x, path=scratch)
            factors = json.loads((Path(scratch) / f"{PERCENTILE}.json").read_text())
        else:
            factors = {"input": 1, **measure(parsed, x, percentile=PERCENTILE, batch_size=BATCH_SIZE).percentiles}
        disk = sum(path.stat().st_size for path in Path(scratch).rglob("*") if path.is_file())
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mib": _peak_mib(),
        "grown_mib": _peak_mib() - before,
        "disk_mib": disk / 2**20,
        "factors": factors,
    }


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
