"""The partition of a network into cores.

docs/mapping-methods.md has the method. phases.py lists its phases, search.py has what they
share. Their parts are the other files:

- coarsening: groups.py with source_lists.py, patches.py with patch_grids.py, growth.py;
  contraction.py makes a hypergraph of the result
- initial partitions: initial.py, mtkahypar.py
- refinement: refinement.py with refinement_loops.py and state.py, and V-cycles of
  mtkahypar.py
- repair: repair.py

settings.py has every tuned number.
"""
