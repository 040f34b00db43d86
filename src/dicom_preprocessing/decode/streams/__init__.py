"""What a compressed stream says of itself, and whether it is whole.

Decoders fill up what was cut off a JPEG or HTJ2K stream without a word, and tell neither precision
nor colour of what they decoded, so the markers are read here: JPEG (ITU-T T.81) and JPEG-LS (T.87)
in ``jpeg``, JPEG 2000 and HTJ2K (T.800, T.814) in ``jpeg_2000``. Nothing here knows of a header.
"""
