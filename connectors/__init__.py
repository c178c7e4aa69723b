"""How to talk to one outside system: a module each. Connectors receive plain values, never settings."""
