"""`python -m router`: the command line."""

from .cli import main

main()
