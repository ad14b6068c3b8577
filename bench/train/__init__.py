"""`make bench-train`: this trainer beside plain ones of TRL and PEFT, on the same tokens."""
