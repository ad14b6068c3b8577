"""Fields of other servers and older clients: why each is not taken here, and what to do instead.

A field whose value asks for what this server does anyway is as good as absent; any other value is refused, so
that no request is answered as if it had asked for something else.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Foreign:
    """`why` follows the field's name in an error; values among `same` change no answer, and are taken."""

    why: str
    same: tuple[Any, ...] = ()

    def asks_for_nothing(self, value: Any) -> bool:
        return any(type(value) is type(one) and value == one for one in self.same)


_TEXT_ALONE = "this model reads and writes text alone"
_ENDS = "an answer ends where the model ends it"
_SCHEMA = "send response_format with type json_schema"
_MACHINE = "the server's machine is set up where it starts (`serve up --help`)"
_LENGTH = "say in the system message how long answers shall be"
_THINKS = "no thoughts are asked of this model"

FOREIGN: dict[str, Foreign] = {
    # OpenAI's.
    "functions": Foreign("send tools", ([],)),
    "function_call": Foreign("send tool_choice", ("auto", "none")),
    "modalities": Foreign(_TEXT_ALONE, (["text"],)),
    "audio": Foreign(_TEXT_ALONE),
    "verbosity": Foreign(_LENGTH, ("medium",)),
    "web_search_options": Foreign("this model searches nothing; send a tool that does"),
    "best_of": Foreign("send n, and choose among the answers", (1,)),
    "suffix": Foreign("text is not written between two others", ("",)),
    "prompt": Foreign("send messages"),
    "input": Foreign("send messages; `/v1/responses` is not here"),
    "instructions": Foreign("send a system message; `/v1/responses` is not here"),
    "max_output_tokens": Foreign("send max_tokens"),
    "previous_response_id": Foreign("answers are not kept; send the conversation in messages"),
    "text": Foreign("send response_format"),
    "reasoning": Foreign("send reasoning_effort"),
    "system": Foreign("send a system message as the first of messages"),
    # vLLM's.
    "chat_template": Foreign("a template runs as code in the server"),
    "chat_template_kwargs": Foreign("they would change what adapters were trained on", ({},)),
    "documents": Foreign("the templates of trainer and server know none; send them in a message", ([],)),
    "prompt_embeds": Foreign("vectors from strangers are no text"),
    "structured_outputs": Foreign(_SCHEMA),
    "guided_json": Foreign(_SCHEMA),
    "guided_choice": Foreign("send response_format with a json_schema that has an enum"),
    "guided_regex": Foreign("send response_format with a json_schema that has a pattern"),
    "guided_grammar": Foreign(_SCHEMA),
    "guided_decoding_backend": Foreign("xgrammar holds answers to their schema"),
    "ignore_eos": Foreign(_ENDS, (False,)),
    "min_tokens": Foreign(_ENDS, (0,)),
    "use_beam_search": Foreign("it multiplies the work of every token", (False,)),
    "length_penalty": Foreign("answers are sampled, not searched for", (1, 1.0)),
    "stop_token_ids": Foreign("send their text in stop", ([],)),
    "bad_words": Foreign("send logit_bias", ([],)),
    "skip_special_tokens": Foreign("control tokens are no text of an answer", (True,)),
    "spaces_between_special_tokens": Foreign("control tokens are no text of an answer", (True,)),
    "include_stop_str_in_output": Foreign("an answer ends before what stops it", (False,)),
    "logits_processors": Foreign("they run as code in the server", ([],)),
    "mm_processor_kwargs": Foreign(_TEXT_ALONE, ({},)),
    "kv_transfer_params": Foreign("they reach into other machines"),
    "vllm_xargs": Foreign("they reach into the engine", ({},)),
    "cache_salt": Foreign("caches are kept apart by key and adapter already"),
    "priority": Foreign("requests take their turns", (0,)),
    "request_id": Foreign("send the header x-request-id"),
    "truncate_prompt_tokens": Foreign("a prompt that is too long is refused, not cut; send less", (-1,)),
    "echo": Foreign("the prompt is the client's already", (False,)),
    "add_special_tokens": Foreign("the template writes them", (False,)),
    "enable_thinking": Foreign(_THINKS, (False,)),
    "include_reasoning": Foreign(_THINKS, (False,)),
    "thinking": Foreign(_THINKS, ({"type": "disabled"},)),
    # Mistral's.
    "random_seed": Foreign("send seed"),
    "safe_prompt": Foreign("no prompt is added; send your own system message", (False,)),
    "prompt_mode": Foreign("send your own system message"),
    # Ollama's and llama.cpp's.
    "options": Foreign("send its members as fields: temperature, top_p, top_k, seed, stop", ({},)),
    "num_ctx": Foreign("the context's length is the server's, `serve up --max-model-len`"),
    "num_predict": Foreign("send max_tokens"),
    "n_predict": Foreign("send max_tokens"),
    "num_keep": Foreign("a prompt that is too long is refused, not cut"),
    "repeat_penalty": Foreign("send repetition_penalty"),
    "repeat_last_n": Foreign("repetition_penalty counts prompt and answer whole"),
    "keep_alive": Foreign("the base stays loaded"),
    "format": Foreign("send response_format"),
    "grammar": Foreign(_SCHEMA),
    "json_schema": Foreign(_SCHEMA),
    "schema": Foreign(_SCHEMA),
    "raw": Foreign("send messages; the base's template renders them", (False,)),
    "images": Foreign(_TEXT_ALONE, ([],)),
    "think": Foreign(_THINKS, (False,)),
    "mirostat": Foreign("send temperature, top_p, top_k or min_p", (0,)),
    "tfs_z": Foreign("send temperature, top_p, top_k or min_p", (1, 1.0)),
    "typical_p": Foreign("send temperature, top_p, top_k or min_p", (1, 1.0)),
    "cache_prompt": Foreign("what prompts have in common is kept already", (True,)),
    "num_batch": Foreign(_MACHINE),
    "num_gpu": Foreign(_MACHINE),
    "num_thread": Foreign(_MACHINE),
    "main_gpu": Foreign(_MACHINE),
    "use_mmap": Foreign(_MACHINE),
    "use_mlock": Foreign(_MACHINE),
    # Others'.
    "max_new_tokens": Foreign("send max_tokens"),
    "max_length": Foreign("send max_tokens"),
    "stop_sequences": Foreign("send stop"),
    "do_sample": Foreign("send temperature 0 for the likeliest tokens", (True,)),
    "provider": Foreign("this server answers by itself"),
    "models": Foreign("send one model"),
    "transforms": Foreign("prompts are not changed", ([],)),
    "extra_body": Foreign("send its members as fields", ({},)),
    "lora": Foreign("send the adapter's name as model"),
    "lora_request": Foreign("send the adapter's name as model"),
}
"""The best known of those that are not taken; every other unknown field is refused like them."""

_OF_A_SCHEMA = ("$defs", "$schema", "additionalProperties", "properties", "required", "title", "type")

NESTED: dict[str, str] = {
    "messages.function_call": "send tool_calls, and the result as role tool with its tool_call_id",
    "messages.audio": _TEXT_ALONE,
    "messages.images": _TEXT_ALONE,
    "messages.partial": "send prefix",
    "messages.tool_results": "send each as a message of role tool",
    "messages.parts": "send content",
    "messages.text": "send content",
    "messages.content.image_url": _TEXT_ALONE,
    "messages.content.content": "send text",
    "messages.tool_calls.name": "send it in function",
    "messages.tool_calls.arguments": "send it in function",
    "messages.tool_calls.args": "send it in function, as arguments",
    "tools.name": "send it in function",
    "tools.description": "send it in function",
    "tools.parameters": "send it in function",
    "tools.strict": "send it in function",
    "tools.input_schema": "send it in function, as parameters",
    "tools.function.input_schema": "send it as parameters",
    "tools.function.inputSchema": "send it as parameters",
    "tools.function.arguments": "send it as parameters",
    "tools.function.required": "send it in parameters",
    "tools.function.properties": "send it in parameters",
    "tool_choice.name": "send it in function",
    "tool_choice.allowed_tools": "send those tools alone",
    "tool_choice.disable_parallel_tool_use": "send parallel_tool_calls",
    "response_format.schema": "send it as json_schema.schema with type json_schema",
    "response_format.json_schema": "send type json_schema with it",
    "response_format.name": "send it in json_schema",
    "response_format.strict": "send it in json_schema",
    **dict.fromkeys(
        (f"response_format.json_schema.{name}" for name in _OF_A_SCHEMA),
        "send it in json_schema.schema",
    ),
    "response_format.json_schema.schema_definition": "send it as json_schema.schema",
    "response_format.value": "send it as json_schema.schema with type json_schema",
    "response_format.grammar": "send a json_schema",
}
"""The same for members of objects in a request, by their places without numbers."""
