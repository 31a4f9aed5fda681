"""Raw messages of trackers, mailers and shops, read into events or refused with a reason."""
