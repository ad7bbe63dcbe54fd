"""Files of images and lines of text: found, read and checked."""
