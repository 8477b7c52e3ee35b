"""Every figure that the docs quote can be made again from here: `python -m benchmarks`."""
