"""How good an image is: one metric or family a file, functions from uint8 pixels to one number an image."""
