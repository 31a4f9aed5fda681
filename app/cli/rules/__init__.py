"""`leadstream rules publish` and `leadstream rules diff`: rules that change while workers run."""
