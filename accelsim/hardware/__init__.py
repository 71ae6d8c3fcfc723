"""Hardware: what an accelerator is, and how its YAML is read."""
