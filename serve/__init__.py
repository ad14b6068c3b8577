"""The adapter registry and the Chat Completions endpoint over one AWQ base."""
