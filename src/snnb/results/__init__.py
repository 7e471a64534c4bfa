"""Operations on the results of a run: status, export, report, compare, verify, remove, crosscheck, sweep."""
