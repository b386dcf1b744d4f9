"""What `mirror doctor` looks at: is all well, and what would a MAAS make of this mirror?"""
