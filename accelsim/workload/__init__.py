"""Workloads: layers, networks, the families of the literature, readers."""
