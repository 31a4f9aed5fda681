"""A second, naive reading of the contract: each lead is a plain list of events, and everything is worked out from scratch."""
