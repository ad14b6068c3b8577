"""The AWQ base with LoRA on it, and the proof that gradients pass through."""

import json
import math
import time
from functools import cache
from pathlib import Path
from typing import Any

import torch

from data.errors import UserError
from finetune.attention import install
from finetune.awq import dense_tensors
from finetune.lora_linear import fuse_lora


def load_base(folder: Path, weights: str = "auto", dtype: torch.dtype | None = None) -> Any:
    """The frozen base as a transformers model in evaluation mode, computing in `dtype`.

    `dense`: the AWQ weights dequantised once, to the fastest dtype of this machine when none is given.
    `packed`: int4 in memory, through transformers and gptqmodel with a kernel that can train. `auto`:
    packed on CUDA, dense on CPU.
    """
    cuda = torch.cuda.is_available()
    if weights == "auto":
        weights = "packed" if cuda else "dense"
    model = _packed(folder, cuda) if weights == "packed" else _dense(folder, dtype or fastest_dtype(), cuda)
    model.requires_grad_(False)
    model.config.use_cache = False
    return model.eval()


@cache
def fastest_dtype() -> torch.dtype:
    """bfloat16 or float32, whichever multiplies matrices faster here; bfloat16 on CUDA.

    Processors differ by a factor of eight between the two: with AVX512-BF16 units bfloat16 is four times
    faster than float32, without them it is half as fast. Each is timed three times, interleaved, and its
    best run counts.
    """
    if torch.cuda.is_available():
        return torch.bfloat16
    best: dict[torch.dtype, float] = {}
    for _ in range(3):
        for dtype in (torch.float32, torch.bfloat16):
            left, right = torch.ones(512, 1024, dtype=dtype), torch.ones(1024, 1024, dtype=dtype)
            left @ right
            started = time.perf_counter()
            for _ in range(4):
                left @ right
            best[dtype] = min(best.get(dtype, math.inf), time.perf_counter() - started)
    return min(best, key=lambda dtype: best[dtype])


def _dense(folder: Path, dtype: torch.dtype, cuda: bool) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(folder)
    del config.quantization_config
    with torch.device("meta"):
        attention = "sdpa" if cuda else install()
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=attention)
    state = dict(dense_tensors(folder, dtype))
    result = model.load_state_dict(state, strict=False, assign=True)
    model.tie_weights()
    missing = [
        name for name in result.missing_keys if name != "lm_head.weight" or not config.tie_word_embeddings
    ]
    if missing or result.unexpected_keys:
        odd = [*missing, *result.unexpected_keys]
        raise UserError(
            f"{folder} does not fit its config.json: {len(odd)} tensors differ, first {odd[0]!r}."
        )
    _restore_buffers(model, config)
    return model.to("cuda") if cuda else model


def _restore_buffers(model: Any, config: Any) -> None:
    """Rotary frequencies are computed, not stored: the meta device left them empty."""
    for name, module in model.named_modules():
        if name.endswith("rotary_emb"):
            fresh = type(module)(config=config)
            module.inv_freq = fresh.inv_freq
            module.original_inv_freq = fresh.original_inv_freq


def _packed(folder: Path, cuda: bool) -> Any:
    from transformers import AutoModelForCausalLM, AwqConfig

    settings = json.loads((folder / "config.json").read_text())["quantization_config"]
    # `auto` may choose a kernel that cannot train; on CPU `auto_trainable` loses its gradients for good
    # after one evaluation, `torch_awq` does not.
    backend = "auto_trainable" if cuda else "torch_awq"
    quantization = AwqConfig(
        bits=settings["bits"],
        group_size=settings["group_size"],
        zero_point=settings["zero_point"],
        backend=backend,
    )
    return AutoModelForCausalLM.from_pretrained(
        folder,
        quantization_config=quantization,
        device_map="cuda:0" if cuda else "cpu",
        dtype=torch.float16 if cuda else torch.float32,
        attn_implementation="sdpa",
    )


def add_lora(model: Any, lora: Any) -> Any:
    """PEFT LoRA on `lora.targets` of the base; the adapter's weights are float32 and trainable."""
    from peft import LoraConfig, get_peft_model

    names = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    unknown = [target for target in lora.targets if target not in names]
    if unknown:
        linear = sorted(name for name in names if name.endswith("_proj"))
        raise UserError(
            f"lora.targets names {', '.join(unknown)}, which matches no module of this base; it has"
            f" {', '.join(linear)}."
        )
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets),
        use_rslora=lora.rslora,
        bias="none",
        task_type="CAUSAL_LM",
    )
    peft_model = get_peft_model(model, config)
    if model.device.type == "cpu":
        fuse_lora(peft_model)  # on CUDA autocast casts inside PEFT's own layers
    return peft_model


def check_gradients(model: Any, input_ids: list[int]) -> None:
    """Prove that a loss reaches every adapter matrix through the frozen base; UserError if not.

    Some AWQ kernels compute a right forward and silently pass no gradient. B is zero at the start, which
    hides A's gradient, so B is set to small values for the check and put back.
    """
    row = torch.tensor([input_ids], device=model.device)
    lora_b = {name: p for name, p in model.named_parameters() if "lora_B" in name}
    saved = {name: p.detach().clone() for name, p in lora_b.items()}
    generator = torch.Generator().manual_seed(0)
    try:
        with torch.no_grad():
            for p in lora_b.values():
                p.copy_(torch.randn(p.shape, generator=generator) * 1e-3)
        model.train()
        model(input_ids=row, labels=row, use_cache=False).loss.backward()
        dead = [
            name
            for name, p in model.named_parameters()
            if p.requires_grad and (p.grad is None or not bool(p.grad.abs().sum() > 0))
        ]
    finally:
        with torch.no_grad():
            for name, p in lora_b.items():
                p.copy_(saved[name])
        model.zero_grad(set_to_none=True)
    if dead:
        raise UserError(
            f"the base's kernel passes no gradient to {len(dead)} adapter matrices, first {dead[0]}; set"
            " base.weights: dense in the recipe."
        )
