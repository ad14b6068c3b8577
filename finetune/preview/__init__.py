"""`finetune preview`: the exact tokens of chosen samples as they are trained, what is learned marked."""
