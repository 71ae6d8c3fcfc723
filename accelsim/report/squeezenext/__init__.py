"""The SqueezeNext study (arXiv:1803.10615): Tables 3 and 4 and Figures 6 and 8 beside what accelsim computes."""
