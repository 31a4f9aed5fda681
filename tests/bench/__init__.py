"""The bench: how fast one worker is, where its time goes, and how that compares with a stock Faust agent."""
