"""The packages in an image, by the database of any package manager, and their manifest."""
