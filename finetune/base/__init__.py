"""Bases: the catalogue, how one is resolved or built, and what identifies it."""
