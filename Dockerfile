FROM astrocrpublic.azurecr.io/runtime:3.3-8

# `astro dev start` installs packages.txt and requirements.txt on top of this image; see docs/airflow.md.
# The marketo and dynamics connection types are a provider, and Airflow finds providers on PYTHONPATH at start.
ENV PYTHONPATH="/usr/local/airflow:/usr/local/airflow/plugins:${PYTHONPATH}"
