"""What is done with the results of a run: export, report, compare, remove, crosscheck, sweep."""
