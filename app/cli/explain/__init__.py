"""Why a lead is what it is: asked of running workers, or worked out from files of events."""
