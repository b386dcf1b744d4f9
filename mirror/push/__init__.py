"""Deliver a custom image to a MAAS region, over MAAS's API for uploads (version 2)."""
