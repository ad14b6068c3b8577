"""Keys that strangers' records have: of other formats, of logs, of labels, misspelt."""

from typing import Any

KEYS = (
    "source", "score", "lang", "uuid", "created", "model", "comment", "Quelle", "meta", "metadata",
    "extra_info", "id", "group", "category", "name", "role", "content", "text", "value", "from", "type",
    "index", "title", "system", "System", "developer", "instruction", "input", "output", "history",
    "query", "response", "answers", "prompt", "completion", "messages", "conversations", "conversation",
    "tools", "tool", "functions", "function", "tool_calls", "function_call", "tool_call_id",
    "arguments", "parameters", "description", "strict", "return", "chosen", "rejected",
    "rejected_response", "preferred_output", "refusal", "reasoning_content", "reasoning", "thinking",
    "annotations", "audio", "logprobs", "finish_reason", "usage", "tool_choice", "response_format",
    "parallel_tool_calls", "solution", "objects", "channel", "loss_scale", "begin_offset", "enum",
    "default", "messages ", "tool_call", "Role", "contents", "ROLE",
)  # fmt: skip

MARKS_ON_ANSWERS: tuple[tuple[str, Any], ...] = (
    ("weight", 0), ("weight", 0.0), ("weight", -1), ("weight", 0.5), ("weight", "0"), ("weight", False),
    ("train", False), ("train", 0), ("training", False), ("trainable", False), ("loss", False),
    ("loss", 0.0), ("loss_weight", 0), ("loss_scale", 0.0), ("loss_mask", 0), ("learn", False),
    ("label", False), ("label", 0), ("masked", True), ("mask", True), ("ignore", True), ("skip", True),
    ("is_correct", False), ("train", "false"),
    ("train_detail", [{"begin_offset": 0, "end_offset": 3, "train": False}]), ("quality", "bad"),
)  # fmt: skip
MARKS_ON_RECORDS: tuple[tuple[str, Any], ...] = (
    ("label", False), ("label", 0), ("label", "false"), ("label", -1), ("kto_tag", False),
    ("kto_tag", "false"), ("weight", 0), ("weight", -1), ("weight", 0.25), ("weight", 0.0),
    ("train", False), ("loss", False), ("images", ["a.png"]), ("image", "a.png"), ("videos", ["a.mp4"]),
    ("audios", ["a.wav"]), ("audio", "a.wav"), ("rejected", "no"), ("rejected_response", "no"),
    ("labels", [True, False]), ("is_correct", False), ("score", -1.0), ("rating", "bad"),
    ("objects", {"bbox": [[1, 2, 3, 4]]}),
)  # fmt: skip
MEANT = frozenset(
    {
        "quality",
        "rating",
        "score",
        "is_correct",
        "ignore",
        "skip",
        "objects",
        "labels",
        "rejected",
        "rejected_response",
    }
)
"""Marks whose meaning a reader cannot know for certain: listing them is enough."""
