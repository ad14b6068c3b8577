"""Adapters that were trained elsewhere: recognized, mapped to PEFT's plain layout, described. No torch."""
