"""What waits in the triggerer, so that nothing that waits holds a worker slot."""
