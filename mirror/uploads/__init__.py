"""Files that come in over the network, piece by piece, and may be resumed: tus 1.0 on the disk."""
