"""The fields of a chat request: which the engine sees. A field that is not listed here is refused."""

OURS = frozenset({"model", "adapter"})
"""Which model and adapter answer; the engine gets its own name for them."""

PASSED_ON = frozenset(
    {
        # OpenAI's, with a meaning for this engine.
        "messages",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "stream",
        "stream_options",
        "n",
        "stop",
        "seed",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "frequency_penalty",
        "presence_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "reasoning_effort",
        "user",
        # vLLM's sampling.
        "top_k",
        "min_p",
        "repetition_penalty",
        # vLLM's, with which perplexity and parity are measured.
        "prompt_logprobs",
        "add_generation_prompt",
        "continue_final_message",
        "return_token_ids",
    }
)

IGNORED = frozenset({"store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key"})
"""OpenAI's housekeeping: clients send it by habit, and it changes no answer."""
