"""`python -m snnb`: the command line."""

from snnb.cli.app import app

app()
