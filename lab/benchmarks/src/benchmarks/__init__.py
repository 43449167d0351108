"""The benchmark: Herald and its peers do the same work on the same machine in one run: `make bench`."""
