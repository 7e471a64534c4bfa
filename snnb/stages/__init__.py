"""The five stages and the export: each resolves its inputs from the run, calls the domain, hands over the outputs."""
