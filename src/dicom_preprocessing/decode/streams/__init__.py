"""Markers of compressed streams, and whether a stream is complete.

Decoders of JPEG and HTJ2K fill the missing part of a cut stream without an error, and return
neither precision nor colour of their result. So the markers are read here: of JPEG (ITU-T T.81) and
JPEG-LS (T.87) in ``jpeg``, of JPEG 2000 and HTJ2K (T.800, T.814) in ``jpeg_2000``. The DICOM header
does not concern these modules.
"""
