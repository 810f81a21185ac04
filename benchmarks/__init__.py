"""What geodetect costs; `python -m benchmarks` runs all of it in its quick form. See README.md."""
