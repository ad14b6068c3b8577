"""`finetune preview`: the exact tokens of chosen samples, learnt ones in colour."""
