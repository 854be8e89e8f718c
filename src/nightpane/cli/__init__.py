"""The ``nightpane`` command: one module a subcommand, each calling one library function."""
