"""Faults that take long to try: `make faults`."""
