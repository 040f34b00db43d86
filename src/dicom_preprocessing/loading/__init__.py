"""Loading for training: frames of TIFFs, datasets of manifests, and finding files.

Whatever reads finished outputs as arrays; nothing that writes.
"""
