"""The storage study: sizes, decode times and read rates of the same images by compressor."""
