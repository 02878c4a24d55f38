"""`python -m minewatch.cli`: the command line without an installed script."""

from minewatch.cli import main

main()
