"""The adapter registry: validated, immutable, content-addressed versions and the aliases that name them."""
