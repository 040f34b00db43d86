"""Loading for training: frames of TIFFs, datasets of manifests, and finding files.

All that reads finished outputs as arrays; nothing that writes.
"""
