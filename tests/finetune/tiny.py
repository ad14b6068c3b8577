"""A dense Llama of a few hundred thousand parameters, with the embedded base's tokenizer."""

from pathlib import Path
from typing import Any

import torch


def save_dense(folder: Path, base: Path, vocabulary: int = 49152) -> Any:
    """Save a random two-layer model to `folder`, readable by transformers 4.51 and 5; returns the model."""
    import json
    import shutil

    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
    )
    model = LlamaForCausalLM(config).float()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "proj" in name:
                # Some input channels matter far more than others, which is what AWQ's search looks for.
                parameter.mul_(torch.rand(parameter.shape[1]).pow(4) * 8 + 0.1)
    model.save_pretrained(folder)
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(content | {"rope_theta": 10000.0}))
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(base / name, folder / name)
    return model.eval()
