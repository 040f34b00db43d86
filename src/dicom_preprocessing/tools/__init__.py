"""Tools for finished trees of TIFFs: statistics, volumes from slices, other sizes, storage.

Whatever works on outputs after a run and is no part of one.
"""
