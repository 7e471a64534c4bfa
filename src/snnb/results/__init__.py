"""Operations on the results of a run: status, export, compare, verify, remove, crosscheck, sweep."""
