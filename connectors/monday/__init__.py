"""Monday.com: one rate-limited client, the documents it sends, the answers it reads."""
