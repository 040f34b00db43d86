"""Coordinates of users: tables of boxes, and previews, from the DICOM image to the output and back.

All that applies a recorded geometry; the geometry itself is in imaging.
"""
