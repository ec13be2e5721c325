"""What the DAGs and the command line share: the engine, its configuration, and the sandbox."""
