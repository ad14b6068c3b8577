"""From a recipe to a LoRA adapter on an AWQ base, and its evaluation."""
