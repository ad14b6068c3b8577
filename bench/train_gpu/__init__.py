"""`make bench-train-gpu`."""
