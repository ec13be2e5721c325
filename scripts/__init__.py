"""What the Makefile runs: environment, local Airflow, and the programs around them."""
