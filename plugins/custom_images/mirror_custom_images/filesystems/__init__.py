"""File systems, read from a disk without mounting it."""
