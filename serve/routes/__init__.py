"""The HTTP surface: one file a resource, nothing exists that is not listed here."""
