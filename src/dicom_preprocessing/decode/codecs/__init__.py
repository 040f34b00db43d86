"""Decoders of encapsulated pixel data: from the stream of a frame to its stored values.

A module per family of transfer syntaxes, with ``decode(stream, runner)`` and, where there is a
second decoder, ``decode_with_pylibjpeg(stream, runner)``. Each reads from top to bottom: parse the
markers, compare them with the header, choose the codec, set the colour of the result, convert
samples to stored values. ``registry`` lists the decoders of a transfer syntax. Input is the stream
and pydicom's ``DecodeRunner``, which holds the header and takes the Photometric Interpretation of
the result, as from pydicom's plugins; never a data set.

imagecodecs comes before pylibjpeg, which is tried for RLE and JPEG 2000 only: its JPEG and JPEG-LS
decoder gives an image for half a stream, without an error. Stored values have the dtype that the
header states, whichever decoder gave them.

Where header and stream disagree (with the rest of such rules in ``dicom.contradictions``):

- Samples have the stream's precision. A signed header makes a sign of the highest bit, an unsigned
  one takes the bits as they are (``samples``).
- A precision above Bits Stored: bits above Bits Stored are masked if the stream is lossless, as in
  native data; values of a lossy stream are clipped to the range of Bits Stored, since overshoot
  must not wrap around (``samples``).
- A precision above Bits Allocated, or other rows, columns or samples, is an error.
- The colour of a lossy JPEG stream with three components is that of its Adobe marker, else YCbCr if
  it has a JFIF marker, else RGB if the components are named so, else YCbCr if they are sampled
  differently, else Photometric Interpretation (``jpeg``). Codes that lose nothing, and JPEG-LS,
  leave components as the header says, unless chroma is subsampled (``components``).
- A JPEG 2000 stream with a component transform is RGB when decoded, whatever the header says, and
  one with subsampled chroma is YCbCr (``jpeg_2000``).
- Codecs whose streams define a colour, and JPEG-LS, return RGB; RLE and deflated frames are
  converted afterwards, like native pixels.
- A stream without its end marker is decoded if nothing else is missing.
"""
