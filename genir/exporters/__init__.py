"""Files that trainers read, one module a format."""
