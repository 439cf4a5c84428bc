"""Stories on real processes that take minutes, run before a release (``make endurance``)."""
