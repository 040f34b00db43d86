"""From a file to stored and display values: streams, fragments, codecs, LUTs, colour, frame order.

All that depends on how pixels are stored is here; later steps are in ``imaging``.
"""
