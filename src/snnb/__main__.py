"""`python -m snnb`: the command line."""

import sys

from snnb.cli.app import app

sys.argv[0] = "snnb"  # in the commands that manifests record
app()
