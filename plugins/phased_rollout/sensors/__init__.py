"""What a channel waits for: its soak, and health."""
