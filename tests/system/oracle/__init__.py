"""A second, naive reading of the semantics: a lead is a list of events, and all of it is worked out from scratch."""
