"""Street scenes with the class of every pixel, and what tasks on them share."""
