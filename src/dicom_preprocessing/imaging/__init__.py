"""The image, its geometry, and the stages on it: crop, resize, pad, volumes.

Arrays and small frozen values; nothing in this folder reads or writes a file of images.
"""
