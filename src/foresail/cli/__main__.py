"""``python -m foresail.cli`` is the ``foresail`` command."""

from foresail.cli.main import main

main()
