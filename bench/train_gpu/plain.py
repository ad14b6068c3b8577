"""The same rows in a plain PEFT loop: dense bfloat16, torch's attention, gradient checkpointing, AdamW."""

import statistics
import time
from pathlib import Path
from typing import Any

import torch

from finetune.model.dense import dense_state
from finetune.recipe import Lora


def measure(folder: Path, rows: list[list[int]], lora: Lora, warm: int) -> dict[str, Any]:
    """Tokens per second, peak memory and losses of a step for each row."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    model = _model(folder, lora).to(device)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0, fused=True)
    speeds, losses = [], []
    for row in rows:
        started = time.perf_counter()
        ids = torch.tensor([row], device=device)
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
        speeds.append(len(row) / (time.perf_counter() - started))
    memory = torch.cuda.max_memory_allocated() if device.type == "cuda" else 0
    return {
        "weights": "plain PEFT, dense bfloat16",
        "tokens_per_second": round(statistics.median(speeds[warm:]), 1),
        "memory_gb": round(memory / 1e9, 3),
        "losses": losses,
    }


def _model(folder: Path, lora: Lora) -> Any:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(folder)
    del config.quantization_config
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16, attn_implementation="sdpa")
    model.load_state_dict(dense_state(folder, None, torch.bfloat16), strict=False, assign=True)
    model.model.rotary_emb = type(model.model.rotary_emb)(config=config)
    model.config.use_cache = False
    options = {"lora_alpha": int(lora.alpha), "target_modules": list(lora.targets), "task_type": "CAUSAL_LM"}
    peft = get_peft_model(model, LoraConfig(r=lora.r, **options))  # type: ignore[arg-type]
    peft.enable_input_require_grads()
    peft.gradient_checkpointing_enable()
    return peft.train()
