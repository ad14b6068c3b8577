"""`finetune validate`: what training would learn, counted, and every problem with its place. No torch."""
