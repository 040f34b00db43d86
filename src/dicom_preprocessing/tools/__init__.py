"""Tools for finished trees of TIFFs: statistics, volumes from slices, other sizes, storage.

All that works on outputs after a run and is not part of one.
"""
