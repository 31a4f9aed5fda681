"""What a worker runs, one file an agent: which topic meets which function."""
