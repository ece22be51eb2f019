"""What some of the files start from."""
workers = 7
timeout = 10
