"""The demo's stage, on which `ordersync demo` and the integration tests run the real processes.

    stage.py  broker, board, poller and worker on a home folder of their own, with sample orders
    proof.py  the comparison of source, production and board, row by row

Imports: commands and all that it may import; imported by: cli.
"""
