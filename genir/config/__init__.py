"""What a user may ask for: one pydantic model a command, read from YAML with dotted overrides."""
