"""Adapters in fourteen layouts of the world, on one base: made by a trainer's own code where it runs here.

What cannot run (it wants a GPU, an Apple machine, or several processes) is rebuilt from its source, which is
named. Each that is plain LoRA has a reference: a folder of this PEFT's that does the same to the base.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
CLAIMED = "HuggingFaceTB/SmolLM2-135M-Instruct"
BESIDE = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")

UNSLOTH_REGEX = (
    r"(?:.*?(?:language|text).*?(?:self_attn|attention|attn|mixer|mlp|feed_forward|ffn|dense|mixer).*?"
    r"\.(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj))|"
    r"(?:\bmodel\.layers\.[\d]{1,}(?!.*\.experts\.\d)\..*?(?:self_attn|attention|attn|mixer|mlp|feed_forward|"
    r"ffn|dense|mixer).*?\.(?:(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)))"
)
"""What unsloth_zoo's `get_peft_regex` gave for a Llama."""


@dataclass(frozen=True)
class Sample:
    """An adapter to push, and the same in this PEFT's layout; without that, `refused` says why not."""

    name: str
    made_by: str
    folder: Path
    reference: Path | None = None
    refused: str | None = None


class Maker:
    """Makes the corpus in `folder`, on `model`: the base of the folder `base`, dense."""

    def __init__(self, folder: Path, base: Path, model: Any, size: float) -> None:
        self.folder, self.base, self.model, self.size = folder, base, model, size

    def peft(self, name: str, change: Callable[[Any], None] | None = None, **settings: Any) -> Path:
        """A folder that PEFT wrote, with random matrices of standard deviation `size`."""
        from peft import LoraConfig, get_peft_model

        plain = {"r": 8, "lora_alpha": 16, "target_modules": TARGETS, "task_type": "CAUSAL_LM"}
        folder = self.folder / name
        adapted = get_peft_model(self.model, LoraConfig(**(plain | settings)))
        try:
            self._fill(adapted)
            adapted.peft_config["default"].base_model_name_or_path = CLAIMED
            adapted.save_pretrained(folder, save_embedding_layers=False)
            if change:
                change(adapted)
        finally:
            adapted.unload()
        return folder

    def beside(self, folder: Path, *names: str) -> Path:
        """What trainers leave beside an adapter."""
        for name in BESIDE:
            shutil.copy(self.base / name, folder / name)
        for name in ("training_args.bin", *names):
            (folder / name).write_bytes(b"\x80\x04]\x94.")
        return folder

    def _fill(self, adapted: Any) -> None:
        torch.manual_seed(11)
        with torch.no_grad():
            for name, parameter in adapted.named_parameters():
                if "lora_" in name:
                    parameter.normal_(std=self.size)


def make(maker: Maker, old_peft: Path | None = None, steps: int = 2) -> list[Sample]:
    """All fourteen; PEFT 0.4 and 0.10 run where `old_peft` holds them, as `peft-0.4.0/`."""
    maker.folder.mkdir(parents=True, exist_ok=True)
    now = maker.peft("peft-now")
    return [
        Sample("PEFT now", "peft, run", now, now),
        _old(maker, "0.4.0", old_peft),
        _old(maker, "0.10.0", old_peft),
        _trl(maker, steps),
        _patterns(maker),
        _unsloth(maker),
        _llama_factory(maker),
        _swift(maker),
        _axolotl(maker),
        _state_dict(maker, now),
        _wrapped(maker, now),
        _mistral(maker),
        _trained_head(maker),
        _pissa(maker),
    ]


_OLD = """
import sys, torch
from transformers import AutoConfig, AutoModelForCausalLM
from peft import LoraConfig, get_peft_model
base, out, size = sys.argv[1:]
config = AutoConfig.from_pretrained(base)
del config.quantization_config
model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
adapted = get_peft_model(model, LoraConfig(
    r=8, lora_alpha=16, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM"))
torch.manual_seed(11)
with torch.no_grad():
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            parameter.normal_(std=float(size))
adapted.save_pretrained(out, safe_serialization=True)
"""


def _old(maker: Maker, version: str, home: Path | None) -> Sample:
    """An adapter that an older PEFT wrote; without it, its config as it was, which is all that differs."""
    name, folder = f"PEFT {version}", maker.folder / f"peft-{version}"
    if home is not None:
        environment = os.environ | {"PYTHONPATH": str(home / f"peft-{version}")}
        command = [sys.executable, "-c", _OLD, str(maker.base), str(folder), str(maker.size)]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        return Sample(name, f"peft {version}, run", folder, folder)
    maker.peft(folder.name, target_modules=["q_proj", "v_proj", "down_proj"])
    config = {
        "auto_mapping": None,
        "base_model_name_or_path": CLAIMED,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "layers_pattern": None,
        "layers_to_transform": None,
        "lora_alpha": 16,
        "lora_dropout": 0.0,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": 8,
        "revision": None,
        "target_modules": ["q_proj", "v_proj", "down_proj"],
        "task_type": "CAUSAL_LM",
    }
    if version == "0.10.0":
        config |= {"alpha_pattern": {}, "rank_pattern": {}, "use_rslora": False, "use_dora": False}
        config |= {"loftq_config": {}, "megatron_config": None, "megatron_core": "megatron.core"}
        config |= {"layer_replication": None}
    (folder / CONFIG).write_text(json.dumps(config))
    return Sample(name, f"config of peft {version}, rebuilt", folder, folder)


def _trl(maker: Maker, steps: int) -> Sample:
    """The `checkpoint-N` that TRL's trainer writes, with optimizer and all."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PreTrainedTokenizerFast
    from trl import SFTConfig, SFTTrainer

    folder = maker.folder / "trl"
    tokenizer = PreTrainedTokenizerFast.from_pretrained(maker.base)
    tokenizer.pad_token = tokenizer.pad_token or "<|im_end|>"
    texts = [f"The grafted branch number {number} bears quinces and pears." for number in range(8)]
    config = SFTConfig(
        output_dir=str(folder),
        max_steps=steps,
        save_steps=steps,
        per_device_train_batch_size=2,
        learning_rate=0.01,
        report_to=[],
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        max_length=32,
        logging_steps=100,
    )
    # Trained in place: the base's own modules are put back afterwards.
    trainer = SFTTrainer(
        maker.model,
        args=config,
        train_dataset=Dataset.from_dict({"text": texts}),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"
        ),
    )
    trainer.train()
    trainer.model.unload()
    maker.model.train(False)
    checkpoint = folder / f"checkpoint-{steps}"
    return Sample("TRL checkpoint", "trl SFTTrainer, run", checkpoint, checkpoint)


def _patterns(maker: Maker) -> Sample:
    """Ranks and alphas of their own for some modules, scaled by the root: PEFT alone honors all of it."""
    folder = maker.peft(
        "patterns",
        target_modules=["q_proj", "v_proj", "down_proj"],
        use_rslora=True,
        lora_alpha=6,
        rank_pattern={"model.layers.0.self_attn.q_proj": 4, "down_proj": 2},
        alpha_pattern={"v_proj": 3, "^model.layers.1.mlp.down_proj": 12},
    )
    return Sample("PEFT patterns", "peft, run", folder, folder)


def _unsloth(maker: Maker) -> Sample:
    """Targets as a pattern, `unsloth_fixed`, a card, a tokenizer: unsloth `models/vision.py`, `save.py`."""
    folder = maker.beside(maker.peft("unsloth", target_modules=UNSLOTH_REGEX))
    _configure(
        folder,
        auto_mapping={
            "base_model_class": "LlamaForCausalLM",
            "parent_library": "transformers.models.llama.modeling_llama",
            "unsloth_fixed": True,
        },
        base_model_name_or_path="unsloth/smollm2-135m-instruct-bnb-4bit",
    )
    (folder / "README.md").write_text("---\ntags: [lora, sft, transformers, trl, unsloth]\n---\n# a model\n")
    return Sample("Unsloth", "regex of unsloth_zoo, rebuilt", folder, folder)


def _llama_factory(maker: Maker) -> Sample:
    """What LLaMA-Factory's `train/sft/workflow.py` and its callbacks leave beside PEFT's files."""
    folder = maker.beside(
        maker.peft("llama-factory", init_lora_weights=True, use_rslora=True), "trainer_log.jsonl"
    )
    for name in ("all_results.json", "train_results.json", "trainer_state.json", "special_tokens_map.json"):
        (folder / name).write_text("{}")
    (folder / "checkpoint-10").mkdir()
    card = "---\nlibrary_name: peft\ntags: [base_model:adapter:x, llama-factory, lora]\n---\n"
    (folder / "README.md").write_text(card)
    return Sample("LLaMA-Factory", "train/sft/workflow.py, rebuilt", folder, folder)


def _swift(maker: Maker) -> Sample:
    """ms-swift's `swift/tuners/peft.py`: its own settings in another file, older ones in the config."""
    folder = maker.beside(maker.peft("swift", target_modules="all-linear"))
    _configure(folder, lora_dtype=None, lorap_lr_ratio=None, lorap_emb_lr=1e-06)
    told = {"lora_dtype": None, "lorap_lr_ratio": None, "lorap_emb_lr": 1e-06}
    (folder / "additional_config.json").write_text(json.dumps(told))
    (folder / "args.json").write_text('{"tuner_backend": "peft"}')
    return Sample("ms-swift", "swift/tuners/peft.py, rebuilt", folder, folder)


def _axolotl(maker: Maker) -> Sample:
    """axolotl's `train.py::save_trained_model`: PEFT's files, in half, with the base's config beside them."""
    folder = maker.peft(
        "axolotl",
        layers_to_transform=[1],
        lora_dropout=0.05,
        target_modules=["q_proj", "o_proj", "gate_proj"],
    )
    maker.beside(folder)
    halved = {name: tensor.to(torch.bfloat16) for name, tensor in load_file(folder / WEIGHTS).items()}
    save_file(halved, folder / WEIGHTS, {"format": "pt"})
    shutil.copy(maker.base / "config.json", folder / "config.json")
    (folder / "README.md").write_text("---\ntags: [axolotl, generated_from_trainer]\n---\n")
    return Sample("axolotl", "train.py, rebuilt", folder, folder)


def _state_dict(maker: Maker, now: Path) -> Sample:
    """A state dict's own names, as DeepSpeed's `zero_to_fp32.py` and ms-swift #414 wrote them."""
    folder = maker.folder / "deepspeed"

    def save(adapted: Any) -> None:
        folder.mkdir()
        kept = {name: tensor.contiguous() for name, tensor in adapted.state_dict().items() if "lora_" in name}
        save_file(kept, folder / WEIGHTS)

    reference = maker.peft("deepspeed-reference", save)
    shutil.copy(reference / CONFIG, folder / CONFIG)
    return Sample("DeepSpeed state dict", "model.state_dict(), run", folder, reference)


def _wrapped(maker: Maker, now: Path) -> Sample:
    """The text model within a multimodal one, and no `base_model.model.`: ms-swift #5252, vLLM #21500."""
    folder = maker.folder / "wrapped"
    shutil.copytree(now, folder)
    old = "base_model.model.model.layers."
    renamed = {
        name.replace(old, "model.language_model.layers."): tensor
        for name, tensor in load_file(now / WEIGHTS).items()
    }
    save_file(renamed, folder / WEIGHTS)
    return Sample("within a multimodal model", "names of ms-swift #5252, rebuilt", folder, now)


def _mistral(maker: Maker) -> Sample:
    """mistral-finetune's `lora.safetensors`: its names, its scale, its order of rows."""
    reference = maker.peft("mistral-reference", lora_alpha=24)
    folder = maker.folder / "checkpoint_000100" / "consolidated"
    folder.mkdir(parents=True)
    config = maker.model.config
    names = {
        "self_attn.q_proj": ("attention.wq", config.num_attention_heads),
        "self_attn.k_proj": ("attention.wk", config.num_key_value_heads),
        "self_attn.v_proj": ("attention.wv", 0),
        "self_attn.o_proj": ("attention.wo", 0),
        "mlp.gate_proj": ("feed_forward.w1", 0),
        "mlp.down_proj": ("feed_forward.w2", 0),
        "mlp.up_proj": ("feed_forward.w3", 0),
    }
    renamed = {}
    for name, tensor in load_file(reference / WEIGHTS).items():
        layer, path, side = _parts(name)
        theirs, heads = names[path]
        if side == "B" and heads:
            # The way back of `permute` in transformers' convert_llama_weights_to_hf.py.
            rows, rank = tensor.shape
            tensor = tensor.view(heads, 2, rows // heads // 2, rank).transpose(1, 2).reshape(rows, rank)
        renamed[f"layers.{layer}.{theirs}.lora_{side}.weight"] = tensor.contiguous()
    save_file(renamed, folder / "lora.safetensors")
    params = {
        "dim": config.hidden_size,
        "n_layers": config.num_hidden_layers,
        "n_heads": config.num_attention_heads,
        "n_kv_heads": config.num_key_value_heads,
        "lora": {"enable": True, "rank": 8, "dropout": 0.0, "scaling": 3.0},
    }
    (folder / "params.json").write_text(json.dumps(params, indent=4))
    (folder / "tekken.json").write_text("{}")
    return Sample("mistral-finetune", "finetune/checkpointing.py, rebuilt", folder, reference)


def _trained_head(maker: Maker) -> Sample:
    """A head that was trained beside the matrices."""
    folder = maker.peft("head", target_modules=["q_proj", "v_proj"], modules_to_save=["lm_head"])
    return Sample("trained head", "peft, run", folder, refused="modules_to_save is set")


def _pissa(maker: Maker) -> Sample:
    """PiSSA takes the base's largest directions into the adapter, so the base under it is another one."""
    state = {name: tensor.clone() for name, tensor in maker.model.state_dict().items()}
    try:
        folder = maker.peft("pissa", target_modules=["q_proj", "v_proj"], init_lora_weights="pissa_niter_4")
    finally:
        maker.model.load_state_dict(state)
    return Sample("PiSSA", "peft, run", folder, refused="init_lora_weights is 'pissa_niter_4'")


def _parts(name: str) -> tuple[int, str, str]:
    """Layer, path and side of PEFT's name of a tensor."""
    _, _, rest = name.partition("layers.")
    layer, _, rest = rest.partition(".")
    path, _, end = rest.partition(".lora_")
    return int(layer), path, end[0]


def _configure(folder: Path, **changes: Any) -> None:
    path = folder / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
