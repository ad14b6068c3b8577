"""What trainer and server agree on before they meet."""

LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The highest ranks that vLLM can be built for. An adapter may have any rank up to the server's."""

MAX_LORA_RANK = 32
"""The highest rank that a server holds, unless `serve up --max-lora-rank` says another."""
