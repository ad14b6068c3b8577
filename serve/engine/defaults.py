"""What vLLM is started with and held to that no option of `serve up` says."""

LORA_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""Where adapters may sit. Without this list vLLM wraps lm_head too, which costs 3 to 9 ms a step."""

KV_CACHE_GIB_ON_CPU = 1
"""Unless VLLM_CPU_KVCACHE_SPACE says another."""

SEQUENCES_ON_CPU = 24
"""Answered at a time, a quarter of them only for keys with nothing else under way; more of them share the
same arithmetic and only wait for each other."""

SEQUENCES = 256
"""The same elsewhere: vLLM's own default but on the largest GPUs."""
