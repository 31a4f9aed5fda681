"""Events from files through the real worker, and what came out of it."""
