"""Faults at many places, few of them in `make test`: `make faults` tries more."""
