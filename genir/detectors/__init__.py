"""What is in an image that must not be: faces. Each part takes uint8 pixels and returns scores."""
