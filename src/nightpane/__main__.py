"""``python -m nightpane`` is the ``nightpane`` command."""

from nightpane.cli.main import main

main()
