"""Reading and checking the configuration. Import the public names from `include.leadsync.config`."""
