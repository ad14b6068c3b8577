"""An AWQ checkpoint of Mistral-Small's exact shape whose weights are made up."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file


def make_base(folder: Path, layers: int, hidden: int, vocabulary: int) -> None:
    """An AWQ checkpoint of MistralForCausalLM, one file a layer; its answers mean nothing."""
    from transformers import PreTrainedTokenizerFast

    folder.mkdir(parents=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    wide, heads = hidden * 32 // 5 if hidden == 5120 else 2 * hidden, max(1, hidden // 160)
    config = {
        "architectures": ["MistralForCausalLM"],
        "model_type": "mistral",
        "hidden_size": hidden,
        "intermediate_size": wide,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": max(1, heads // 4),
        "head_dim": 128,
        "vocab_size": vocabulary,
        "max_position_embeddings": 32768,
        "rope_theta": 100000000.0,
        "rms_norm_eps": 1e-5,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "quantization_config": {
            "quant_method": "awq",
            "bits": 4,
            "group_size": 128,
            "version": "gemm",
            "zero_point": True,
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    queries, keys = heads * 128, max(1, heads // 4) * 128
    shapes = {
        "self_attn.q_proj": (hidden, queries),
        "self_attn.k_proj": (hidden, keys),
        "self_attn.v_proj": (hidden, keys),
        "self_attn.o_proj": (queries, hidden),
        "mlp.gate_proj": (hidden, wide),
        "mlp.up_proj": (hidden, wide),
        "mlp.down_proj": (wide, hidden),
    }
    for number in range(layers):
        tensors: dict[str, torch.Tensor] = {}
        for name, (inputs, outputs) in shapes.items():
            place = f"model.layers.{number}.{name}"
            words = torch.randint(-(2**31), 2**31, (inputs, outputs // 8), device=device, dtype=torch.int64)
            tensors[f"{place}.qweight"] = words.int()
            zeros = torch.full((inputs // 128, outputs // 8), 0x77777777, dtype=torch.int32)
            tensors[f"{place}.qzeros"] = zeros
            tensors[f"{place}.scales"] = torch.full(
                (inputs // 128, outputs), 0.2 / inputs**0.5, dtype=torch.float16
            )
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"model.layers.{number}.{name}.weight"] = torch.ones(hidden, dtype=torch.float16)
        save_file(tensors, folder / f"layer-{number:02d}.safetensors")
    table = torch.randn(vocabulary, hidden, device=device).mul_(0.02).half()
    ends = {
        "model.embed_tokens.weight": table,
        "lm_head.weight": table.flip(0).contiguous(),
        "model.norm.weight": torch.ones(hidden, dtype=torch.float16),
    }
    save_file(ends, folder / "ends.safetensors")
    PreTrainedTokenizerFast(tokenizer_object=_tokenizer(), eos_token="</s>").save_pretrained(folder)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    return Tokenizer(WordLevel({"</s>": 0, "a": 1}, unk_token="a"))
