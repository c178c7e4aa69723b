"""A Monday.com board to look at: the bundled stand-in, a process of its own."""
