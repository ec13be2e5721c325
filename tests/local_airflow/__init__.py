"""What needs a running Airflow. A package, so that its fixtures end with it; one worker plays all of it."""
