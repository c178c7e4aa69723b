"""What things are: frozen pydantic models that cross a process, a topic or a file."""
