"""Disks in files: raw, compressed, or in the form of a virtual machine; and what is on them."""
