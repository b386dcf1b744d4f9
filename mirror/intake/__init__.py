"""Custom images come in: copied or built, identified, checked, and put into store and catalogue."""
