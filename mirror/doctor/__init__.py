"""What `mirror doctor` looks at: whether all is well, and what a MAAS would make of the mirror."""
