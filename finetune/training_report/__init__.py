"""`report.html` of a training run: what it did, on what, with what effect."""
