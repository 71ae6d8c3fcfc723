"""Engines: what a mapping costs."""
