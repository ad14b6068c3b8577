"""`finetune export`: an adapter in other formats, for those who leave."""
