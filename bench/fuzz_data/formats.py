"""Every format that records are made up in."""

from bench.fuzz_data import chat, flat, pairs, tables, turns
from bench.fuzz_data.case import Format

FORMATS: dict[str, Format] = {
    "openai": chat.openai,
    "openai logs": chat.logs,
    "columns of JSON text": tables.text_columns,
    "padded by a table": tables.padded,
    "openai functions": chat.functions,
    "TRL tool calls": chat.trl_tools,
    "prompt and completion": chat.completion,
    "system beside messages": chat.system_column,
    "ms-swift agent": chat.swift_agent,
    "KTO label": chat.rated,
    "pictures": chat.pictures,
    "sharegpt": turns.sharegpt,
    "axolotl train flags": turns.flagged,
    "conversations of role": turns.role_content,
    "glaive in sharegpt": turns.glaive,
    "functioncall in sharegpt": turns.functioncall,
    "glaive v2": turns.glaive_raw,
    "hermes": turns.hermes,
    "ToolACE": turns.toolace,
    "xlam": flat.xlam,
    "alpaca": flat.alpaca,
    "alpaca with text": flat.alpaca_text,
    "alpaca kto_tag": flat.tagged,
    "no answer": flat.no_answer,
    "query and response": flat.query_response,
    "human and assistant": flat.human_assistant,
    "openai preference": pairs.openai_pair,
    "TRL preference": pairs.trl_pair,
    "TRL preference texts": pairs.trl_texts,
    "LLaMA-Factory ranking": pairs.ranking,
    "ms-swift rejected_response": pairs.rejected_response,
}
