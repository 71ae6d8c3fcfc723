"""The report on compute/bandwidth ratios: standard, grouped, depthwise and pointwise convolutions."""
