"""Measurements of whole networks of real processes; timing lives here and never in tests."""
