"""What is judged of an image: each module knows one thing."""
