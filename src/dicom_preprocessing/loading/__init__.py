"""Loading for training: frames of TIFFs, datasets of manifests, and finding files."""
