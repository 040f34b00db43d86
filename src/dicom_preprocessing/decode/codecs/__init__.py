"""Decoders of encapsulated pixel data: from the stream of a frame to its stored values.

A file for each family of transfer syntaxes, with ``decode(stream, runner)`` and, where there is a
second choice, ``decode_with_pylibjpeg(stream, runner)``. Each does all that its family needs, from
top to bottom: read the markers, compare them with the header, choose the codec, say what colour the
result has, and bring samples to stored values. ``registry`` knows which are tried for a transfer
syntax. What enters is the stream and pydicom's ``DecodeRunner``, which holds the header and is told
of the result what pydicom's plugins tell it; never a data set.

imagecodecs comes before pylibjpeg, which is asked for RLE and JPEG 2000 only: its JPEG and JPEG-LS
decoder fills up broken streams without a word. Stored values have the dtype that the header states,
so that it does not matter which one decoded a frame.

Where header and stream disagree (with the rest of such rules in ``dicom.contradictions``):

- Samples have the stream's precision. A signed header makes a sign of the highest bit, an unsigned
  one takes the bits as they are (``samples``).
- A precision above Bits Stored: bits above Bits Stored are masked if the stream is lossless, as in
  native data; values of a lossy stream are clipped to the range of Bits Stored, since what overshot
  must not wrap around (``samples``).
- A precision above Bits Allocated, or other rows, columns or samples, is an error.
- Three components of a JPEG stream are what its Adobe marker says, else YCbCr if it has a JFIF
  marker, else RGB if they are named so, else YCbCr if they are sampled differently, else what
  Photometric Interpretation says (``jpeg``).
- A JPEG 2000 stream with a component transform is RGB when decoded, whatever the header says
  (``jpeg_2000``).
- A stream without its end marker is decoded if nothing else is missing.
"""
