"""A file of the format `sanafe`, read by SANA-FE."""

import contextlib
import io

import sanafe
import yaml

from snnb.crosscheck.sanafe import one_tile


def load(path, folder):
    """Return an architecture of some cores, and the network."""
    (folder / "one_tile.yaml").write_text(yaml.safe_dump(one_tile(10_000)))
    architecture = sanafe.load_arch(str(folder / "one_tile.yaml"))
    with contextlib.redirect_stdout(io.StringIO()):
        return architecture, sanafe.load_net(
            str(path), architecture, use_netlist_format=True
        )
