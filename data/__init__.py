"""The shapes that trainer and server share: chat format, manifests, reports (pydantic only)."""
