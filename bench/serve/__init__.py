"""Plain vLLM's server beside this one."""
