"""Mappings: loop nests, and the search for the best one."""
