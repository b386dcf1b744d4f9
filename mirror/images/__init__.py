"""Custom images: what an operator says of one, its versions, and how they are published."""
