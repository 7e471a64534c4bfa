"""The formats by name, in the order in which they are listed; and the formats of spikes."""

from pathlib import Path
from typing import Callable, Dict, Tuple

from snnb.formats import (
    axoncuda,
    csv,
    graphml,
    hmetis,
    metis,
    networkx,
    nir,
    noxim,
    npz,
    parquet,
    parts,
    pynn,
    sanafe,
    sonata,
    spinemap,
)
from snnb.formats.rates import Rates, is_text_file, read_npy, read_text_file
from snnb.formats.request import Format
from snnb.graph.listed import ListedGraph
from snnb.graph.populations import Recording

FORMATS: Dict[str, Format] = {
    "networkx": networkx.FORMAT,
    "csv": csv.FORMAT,
    "npz": npz.FORMAT,
    "parquet": parquet.FORMAT,
    "parts": parts.FORMAT,
    "sonata": sonata.FORMAT,
    "spinemap": spinemap.FORMAT,
    "nir": nir.FORMAT,
    "pynn": pynn.FORMAT,
    "sanafe": sanafe.FORMAT,
    "noxim": noxim.FORMAT,
    "metis": metis.FORMAT,
    "hmetis": hmetis.FORMAT,
    "snn": axoncuda.SNN,
    "axh": axoncuda.AXH,
    "graphml": graphml.FORMAT,
}
# For each kind of file: a function that recognises it, and its reader, which gets the graph without its spikes and the
# recording of the options or of the graph
RATE_READERS: Dict[str, Tuple[Callable[[Path], bool], Callable[[Path, ListedGraph, Recording], Rates]]] = {
    "SONATA reports": (sonata.is_report, sonata.read_report),
    "traces of SANA-FE": (sanafe.is_trace, sanafe.read_trace),
    "npy": (lambda path: path.suffix == ".npy", read_npy),
    "text or CSV": (is_text_file, read_text_file),
}
