"""`python -m streams` is `ordersync`."""

from streams.cli import main

main()
