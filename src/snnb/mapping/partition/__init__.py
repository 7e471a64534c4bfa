"""The partition of a network into cores: docs/mapping.md has the method, whose phases are the files.

Coarsening: groups.py, patches.py, growth.py, contraction.py. Initial partitions: initial.py, mtkahypar.py. Refinement:
refinement.py, and V-cycles of mtkahypar.py. Repair: repair.py. settings.py has every tuned number.
"""
