"""Mistral's tokenizers, offline: what mistral-common ships, and newer formats made out of it."""

import json
import shutil
from pathlib import Path

import mistral_common
from mistral_common.tokens.tokenizers.tekken import Tekkenizer

SHIPPED = Path(mistral_common.__file__).parent / "data"
SENTENCEPIECE = {
    "V3": "mistral_instruct_tokenizer_240323.model.v3",
    "V7": "mistral_instruct_tokenizer_241114.model.v7",
}
TEKKEN = {"V3 Tekken": "v3", "V7 Tekken": "v7", "V11 Tekken": "v11", "V13 Tekken": "v13"}
"""V7 Tekken is Mistral-Small-24B-Instruct-2501's format; here with the vocabulary of an older model."""

KINDS = [*SENTENCEPIECE, *TEKKEN]


def write_tokenizer(kind: str, folder: Path) -> Path:
    """The tokenizer file of `kind` in `folder`, named as in a model's repository."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind in SENTENCEPIECE:
        source = SHIPPED / SENTENCEPIECE[kind]
        return Path(shutil.copy(source, folder / f"tokenizer.model{source.suffix}"))
    content = json.loads((SHIPPED / "tekken_240718.json").read_text(encoding="utf-8"))
    content["config"]["version"] = TEKKEN[kind]
    if kind in ("V11 Tekken", "V13 Tekken"):  # these name their control tokens in the file
        names = [token["token_str"] for token in Tekkenizer.DEPRECATED_SPECIAL_TOKENS]
        names += ["[ARGS]", "[CALL_ID]", "[THINK]", "[/THINK]"]
        filler = [
            f"<SPECIAL_{rank}>" for rank in range(len(names), content["config"]["default_num_special_tokens"])
        ]
        content["special_tokens"] = [
            {"rank": rank, "token_str": name, "is_control": True} for rank, name in enumerate(names + filler)
        ]
    path = folder / "tekken.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
