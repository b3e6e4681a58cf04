"""The prompt bank: compose from a grammar, screen, drop near-duplicates, describe; see prompts/README.md."""
