"""Web pages of the project inside the Airflow UI, behind Airflow's own login."""
