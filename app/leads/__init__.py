"""What a lane does with leads: records in, rows and outputs out. The bytes around `app.domain`."""
