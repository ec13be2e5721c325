"""Where the engine meets Airflow: hooks, the operator that runs one step, schedule and forms.

Importing any of it is cheap; the engine itself is imported inside a running task.
"""
