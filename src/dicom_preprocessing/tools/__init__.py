"""Tools for finished trees of TIFFs: statistics, volumes from slices, other sizes, storage."""
