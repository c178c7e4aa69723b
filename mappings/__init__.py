"""What becomes what: pure functions beside their data."""
