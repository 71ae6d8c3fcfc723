"""Reports: files, plots, published tables beside computed ones."""
