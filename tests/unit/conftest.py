"""Settings of the property tests."""

from hypothesis import settings

# No time limit for an example: the machines that run the tests are busy with others.
settings.register_profile("no deadline", parent=settings(), deadline=None)
settings.load_profile("no deadline")
