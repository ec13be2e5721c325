"""What somebody should be told: what is wrong now, when it began and that it is over, and a digest once a day."""
