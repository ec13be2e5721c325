"""What `check` looks at beside the connections: native sync, rights, columns, quotas, clocks (R23, D21)."""
