"""Every statement, named; every table; the one place that quotes a name."""
