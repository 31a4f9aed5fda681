"""Who earned the credit: goals, models, exact money."""
