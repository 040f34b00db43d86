"""From a file to stored and display values: streams, fragments, codecs, LUTs, colour, frame order.

Whatever depends on how pixels are stored; what happens to an image afterwards is in imaging.
"""
