"""The deterministic generator of `data/samples/`: tools, wording and values, combined by a fixed seed."""
