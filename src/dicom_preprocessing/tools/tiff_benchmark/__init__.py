"""The same images with each compressor: sizes, decode times and read rates."""
