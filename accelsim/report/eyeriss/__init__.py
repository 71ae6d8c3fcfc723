"""Eyeriss as measured in silicon, beside accelsim."""
