"""The metrics of a stage as a small table: name, value, unit."""

from typing import List, Mapping, Tuple

from snnb.core.formatting import energy, quantity

# Names of metrics in the manifest whose words or unit the name itself does not give.
IN_WORDS = {
    "norm_samples": ("samples for normalisation", ""),
    "largest_difference": ("largest difference from the trained model", ""),
    "connectivity": ("connectivity", "spikes/sample"),
    "sequential_connectivity": ("connectivity, sequential", "spikes/sample"),
    "hops_unicast": ("hops", "links/sample"),
    "link_load_peak": ("link load, peak", "spikes/sample/step"),
}


def metric_rows(metrics: Mapping[str, object]) -> List[Tuple[str, str, str]]:
    """Return the words, value and unit of each metric of a record that has a value."""
    return [_row(name, value) for name, value in metrics.items() if isinstance(value, (int, float))]


def _row(name: str, value: float) -> Tuple[str, str, str]:
    if name == "energy_pj":
        number, unit = energy(value).split(" ")
        return "energy", number, f"{unit}/sample"
    words, unit = IN_WORDS.get(name, (_words(name), ""))
    if "accuracy" in name:
        return words, f"{100 * value:.2f}", "%"
    return words, f"{value:,}" if isinstance(value, int) else quantity(value), unit


def _words(name: str) -> str:
    return " ".join(word.upper() if word in ("ann", "snn") else word for word in name.split("_"))
