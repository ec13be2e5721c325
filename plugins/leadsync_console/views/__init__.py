"""One module per page: what it asks the engine, which template shows it."""
