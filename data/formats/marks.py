"""What keys say that no importer takes: nothing, that an answer is bad or not learned, or another modality.

The tables are what `docs/data.md` lists. A key in none of them is unknown, and refused.
"""

import re
from typing import Any, Literal

from data.formats.values import kind_of

Place = Literal["record", "message", "part", "call", "tool"]

SILENT: dict[Place, frozenset[str]] = {
    "record": frozenset({
        "_id", "conversation_id", "created", "created_at", "dataset", "dataset_name", "date",
        "frequency_penalty", "hash", "idx", "index", "lang", "language", "license", "logprobs",
        "max_completion_tokens", "max_tokens", "meta", "metadata", "model", "model_name", "n", "num_tokens",
        "num_turns", "object", "parallel_tool_calls", "presence_penalty", "prompt_id",
        "question_id", "request_id", "row", "row_id",
        "score_chosen", "score_rejected", "seed", "service_tier", "session_id", "source", "source_id", "stop",
        "store", "stream", "stream_options", "subcategory", "system_fingerprint", "task", "temperature",
        "thread_id", "timestamp", "title", "token_count", "top_k", "top_logprobs", "top_p", "topic", "uid",
        "updated_at", "url", "usage", "user", "uuid",
    }),
    "message": frozenset({
        "name", "id", "index", "timestamp", "created_at", "model", "tool_name", "annotations", "metadata",
        "reasoning", "reasoning_content", "reasoning_details", "thinking",
    }),
    "part": frozenset({"annotations", "cache_control", "index"}),
    "call": frozenset({"index"}),
    "tool": frozenset({"return", "returns", "response", "output_schema", "outputSchema", "cache_control"}),
}  # fmt: skip
"""Known to say nothing to the model: left out and counted."""

THOUGHTS = frozenset({"reasoning", "reasoning_content", "thinking"})
"""What a model thought: a text of JSON there marks nothing."""

LEARN = ("weight", "train", "training", "trainable", "learn", "loss", "loss_weight", "loss_scale")
"""Whether an answer, or the whole record, is learned: 0 and false say no, 1 and true say yes."""

GOOD = frozenset({
    "accepted", "approved", "correct", "desirable", "good", "is_accepted", "is_correct", "is_good",
    "is_valid", "keep", "kto_tag", "label", "labels", "thumbs_up", "valid",
})  # fmt: skip
"""Marks of a good answer: 1 and true say so."""

BAD = frozenset({
    "bad", "is_bad", "wrong", "is_wrong", "incorrect", "rejected", "is_rejected", "undesirable", "flagged",
    "toxic", "harmful", "invalid", "skip", "exclude", "excluded", "deleted", "thumbs_down",
})  # fmt: skip
"""Marks of an answer that is not to be given: 0 and false say that it is none."""

PARTLY = frozenset(
    {"train_detail", "training_detail", "mask", "masks", "loss_mask", "train_mask", "label_mask"}
)
"""Which words of an answer are learned: that is not done here."""

MEDIA = frozenset({
    "audio", "audio_url", "audios", "bbox", "image", "image_path", "image_paths", "image_url", "image_urls",
    "images", "input_audio", "media", "objects", "pixel_values", "speech", "video", "video_url", "videos",
})  # fmt: skip
"""Another modality: pictures, sound, films and places in them."""

BAD_WORDS = frozenset({"bad", "discarded", "incorrect", "rejected", "undesirable", "wrong"})
"""What a `category` or a review calls an answer that is not to be given."""

_REVIEWS = GOOD | {
    "annotation_status", "category", "decision", "feedback", "outcome", "quality", "rating", "review",
    "review_status", "state", "status", "tag", "tags", "verdict",
}  # fmt: skip
"""Keys inside `metadata` and its like whose text may be one of those words."""

_TEXTS = {"false": False, "no": False, "0": False, "true": True, "yes": True, "1": True}
"""Yes and no as spreadsheets write them."""

PLACEHOLDERS = ("<image>", "<audio>", "<video>")

PREFERENCES = frozenset({
    "chosen", "non_preferred_output", "preferred_output", "rejected", "rejected_messages",
    "rejected_response",
})  # fmt: skip
"""Answers to compare: a preference's, which `method: dpo` learns from."""

_BETWEEN = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[\s.-]+")
"""Where the words of a key meet, for keys in camel case or with blanks."""

SKIP = "leave such records out with data.on_error: skip"
"""The step that fits a data set of any size."""


def verdict(value: Any) -> bool | None:
    """Yes or no, as booleans, integers and floats say it; None for anything else."""
    return bool(value) if isinstance(value, bool | int | float) and value in (0, 1) else None


def objection(key: str, value: Any, words: bool = True) -> str | None:
    """Why a record with `key` cannot be learned, as the rest of a sentence about the key.

    None for a key that is no mark, and "" for a mark that is no reason. Where no words are learned anyway, as
    of a question, `words` is False.
    """
    said = verdict(value)
    if key in MEDIA:
        return f"belongs to another modality, of which this model sees nothing; {SKIP}"
    if key in LEARN:
        if not words or said:
            return ""
        return f"says that nothing of it is to be learned; {SKIP}" if said is False else unclear(value)
    if key in PARTLY:
        step = f"set the message's `weight` to 0 or 1, or {SKIP}"
        return f"says which words are learned, which is not done here; {step}" if words else ""
    if key in GOOD or key in BAD:
        good = said if key in GOOD or said is None else not said
        return "" if good else _bad(value, good)
    if key == "split":
        kept = isinstance(value, str) and value.startswith("train")
        return "" if kept else f"is {value!r:.40}, so the record may be held out elsewhere; {SKIP}"
    if key in PREFERENCES:
        return "is an answer to compare with; set the recipe's method: dpo, which learns from such pairs"
    return None


def unclear(value: Any) -> str:
    """What to say of a weight that is neither 0 nor 1."""
    return f"is {kind_of(value)}, where 0 (not learned) or 1 (learned) is known; mend it, or {SKIP}"


def buried(key: str, value: Any) -> str | None:
    """The same for a key inside something that is left out, such as `metadata`, in any spelling (`isBad`).

    A text there is a topic, unless it says yes or no, or is one of `BAD_WORDS`.
    """
    key = _BETWEEN.sub("_", key).lower()
    if isinstance(value, str) and key != "split" and key not in MEDIA:
        word = value.strip().lower()
        if key in _REVIEWS and word in BAD_WORDS:
            return _bad(value, False)
        if word not in _TEXTS:
            return None
        value = _TEXTS[word]
    return objection(key, value) if key in MEDIA or not isinstance(value, list | dict) else None


def _bad(value: Any, good: bool | None) -> str:
    if good is False:
        return f"marks the answer as one that is not to be given, and it would be learned; {SKIP}"
    return f"rates the answer ({kind_of(value)}), and only 0, 1, true and false are understood; {SKIP}"
