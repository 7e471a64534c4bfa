"""The formats by name, in the order in which they are listed."""

from typing import Dict

from snnb.formats import (
    axoncuda,
    csv,
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
from snnb.formats.request import Format

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
    "graphml": networkx.GRAPHML,
}
