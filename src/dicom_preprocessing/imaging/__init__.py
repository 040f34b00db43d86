"""The image that travels, its geometry, and the stages on it: crop, resize, pad, volumes.

Arrays and small frozen values; nothing that reads or writes a file of images.
"""
