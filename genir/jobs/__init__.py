"""One module a command: the only code that knows configuration objects, ranks and run directories together."""
