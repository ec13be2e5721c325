"""`make demo`: a story that shows every rule, played by the real DAG against both systems, and checked."""
