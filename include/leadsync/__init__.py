"""The sync engine: keeps Marketo persons and Dynamics leads and contacts in step.

Nothing in this package imports Airflow; the DAGs and the command line call the same steps.
"""
