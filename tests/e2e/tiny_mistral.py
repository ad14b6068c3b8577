"""A MistralForCausalLM as small as its vocabulary allows, in AutoAWQ's format, with the V7 Tekken tokenizer.

What Mistral-Small-24B-Instruct-2501 is to a user, in small: the same architecture, chat format, quantisation
tool and group size, and so the same code of trainer and server.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import torch

from finetune.base.build import quantize_python
from finetune.base.identity import describe
from finetune.base.resolve import write_manifest
from tests.finetune.mistral_files import write_tokenizer

NAME = "tiny-mistral-awq"
VOCABULARY = 131_072
GROUP = 128
QUANTIZE = Path("finetune/base/quantize.py")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def make_base(folder: Path, tokenizer: Path) -> None:
    """Write the base to `folder`, quantised by AutoAWQ itself.

    AutoAWQ wants some tokenizer of Hugging Face's kind, which it never asks to encode the calibration's token
    ids: `tokenizer` is a folder with one.
    """
    stage = folder.with_name(f"{folder.name}-stage")
    dense = stage / "dense"
    _save_dense(dense)
    for name in TOKENIZER_FILES:
        shutil.copy(tokenizer / name, dense / name)
    random = torch.Generator().manual_seed(1)
    rows = torch.randint(1000, VOCABULARY, (4, 64), generator=random).tolist()
    (stage / "calibration.json").write_text(json.dumps(rows))
    command = [quantize_python(), QUANTIZE, dense, stage / "awq", stage / "calibration.json", str(GROUP)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PYTHONPATH": ""})
    assert done.returncode == 0, done.stderr[-2000:]
    folder.mkdir(parents=True)
    for path in [*(stage / "awq").glob("*.safetensors"), stage / "awq" / "config.json"]:
        path.rename(folder / path.name)
    shutil.rmtree(stage)
    write_tokenizer("V7 Tekken", folder)
    write_manifest(folder, describe(folder, NAME, {"tool": "autoawq==0.2.9"}, quality={}))


def _save_dense(folder: Path) -> None:
    """Random weights, readable by AutoAWQ's transformers 4.51."""
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    config: Any = MistralConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=8,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=4096,
        sliding_window=None,
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=2,
    )
    model = MistralForCausalLM(config).float()
    # At its usual 0.02 no hidden state could make one of 131 072 tokens likely: nothing could be learnt.
    torch.nn.init.normal_(model.lm_head.weight, std=0.2)
    model.save_pretrained(folder)
    content = json.loads((folder / "config.json").read_text()) | {"rope_theta": 100_000_000.0}
    del content["rope_parameters"]  # transformers 5's name for it, which the real model's file has not
    (folder / "config.json").write_text(json.dumps(content))
