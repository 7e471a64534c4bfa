"""The programs of docs/other-simulators.md, each run as it stands there, and today's readers of the exports."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from snnb.stages.exports import export_graph
from snnb.stages.runs import open_run
from snnb.synapses import SynapseGraph
from snnb.synapses.export.export_options import ExportOptions
from tests.pipeline.conftest import RECORDED

PAGE = (Path(__file__).parents[2] / "docs" / "other-simulators.md").read_text()
PROGRAMS = dict(re.findall(r"^`(\w+\.py)`[^\n]*\n\n```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
PACKAGES = ("nest-simulator", "brian2", "bmtk", "pynn", "sanafe==2.1.1", "h5py", "pandas", "pyarrow", "scipy")
PACKAGES += ("duckdb", "polars", "libsonata", "networkx", "nir")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def python(tmp_path_factory):
    """A newer Python with the simulators, in an environment of its own; $SNNB_SIMULATORS names one that is there."""
    if os.environ.get("SNNB_SIMULATORS"):
        return os.environ["SNNB_SIMULATORS"]
    newest = next(found for found in map(shutil.which, [f"python3.{n}" for n in (13, 12, 11)]) if found)
    environment = tmp_path_factory.mktemp("simulators") / "venv"
    subprocess.run([newest, "-m", "venv", str(environment)], check=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, *PACKAGES], check=True)
    return str(environment / "bin" / "python")


@pytest.fixture(scope="session")
def exports(tmp_path_factory):
    """The recorded run in the formats that the programs read, and the number of its synapses and their weights' sum."""
    folder = tmp_path_factory.mktemp("exports")
    run = open_run(Path(shutil.copytree(RECORDED, folder / "run")))
    for format in ("sonata", "pynn", "parquet", "parts", "npz", "csv", "networkx", "sanafe", "nir"):
        export_graph(run, format, ExportOptions(exact=format == "pynn"), output=folder / format)
    for name, program in PROGRAMS.items():
        (folder / name).write_text(program)
    return folder


def test_the_page_has_all_programs():
    assert sorted(PROGRAMS) == [
        "exported.py",
        *(f"with_{simulator}.py" for simulator in ("bmtk", "brian2", "nest", "pynn", "sanafe")),
    ]


@pytest.mark.parametrize("simulator", ["brian2", "nest", "bmtk", "pynn", "sanafe"])
def test_no_spike_count_differs(python, exports, simulator):
    """704 = 2 samples × (256 + 64 + 32 neurons)."""
    command = [python, f"with_{simulator}.py", "run", "sonata", "2", "pynn", "sanafe"]
    done = subprocess.run(command, cwd=exports, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "0 of 704 pairs of sample and neuron differ"


READERS = {
    "pandas": "import pandas; t = pandas.read_csv('csv', dtype={'weight': 'float32'}); print(len(t), t.edge.sum())",
    "duckdb": "import duckdb; print(*duckdb.sql(\"select count(*), sum(edge) from 'parts/0*.parquet'\").fetchall()[0])",
    "polars": "import polars; t = polars.read_parquet('parts/0*.parquet'); print(len(t), t['edge'].cast(float).sum())",
    "pyarrow": "from pyarrow import dataset as d, compute; t = d.dataset('parquet/edges.parquet').to_table(); "
    "print(len(t), compute.sum(t['edge'].cast('double')))",
    "scipy": "from pathlib import Path; import numpy, scipy.sparse as s; paths = sorted(Path('npz').glob('0*')); "
    "print(sum(s.load_npz(p).nnz for p in paths), sum(numpy.load(p)['edge'].astype(float).sum() for p in paths))",
    "networkx": "import pickle; g = pickle.load(open('networkx', 'rb')); "
    "print(g.number_of_edges(), sum(e for _, _, e in g.edges(data='edge')))",
    "libsonata": "import libsonata; c = libsonata.CircuitConfig.from_file('sonata/circuit_config.json'); "
    "p = [c.edge_population(n) for n in sorted(c.edge_populations)]; "
    "print(sum(q.size for q in p), sum(q.get_attribute('edge', q.select_all()).astype(float).sum() for q in p))",
}


@pytest.mark.parametrize("reader", sorted(READERS))
def test_totals_by_todays_readers(python, exports, reader):
    done = subprocess.run([python, "-c", READERS[reader]], cwd=exports, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    edges, total = done.stdout.split()
    (path,) = (exports / "run" / "graphs").glob("2*/*_graph.h5")
    with SynapseGraph.open(path) as opened:
        graph = opened.with_pool_weight("mean") if reader == "libsonata" else opened
        summary = graph.summary()
        assert int(edges) == sum(projection.edges for projection in summary)
        expected = sum(float(p.to_scipy("edge").data.astype(float).sum()) for p in graph.projections)
        assert float(total) == pytest.approx(expected, rel=1e-6)


def test_todays_nir_reads_the_layers(python, exports):
    """And finds their shapes to fit: 256 + 64 + 32 neurons and the softmax layer's ten."""
    program = "import nir; g = nir.read('nir'); print(*sorted(n.r.size for n in g.nodes.values() if hasattr(n, 'r')))"
    done = subprocess.run([python, "-c", program], cwd=exports, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["10", "32", "64", "256"]
