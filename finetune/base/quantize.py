"""AutoAWQ in its own environment: `python quantize.py DENSE OUT CALIBRATION.json GROUP_SIZE`.

Run by `finetune.base.build`; imports nothing of this project, because AutoAWQ 0.2.9 needs
transformers <= 4.51.3 and lives apart. CALIBRATION is a JSON list of token id lists.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from awq import AutoAWQForCausalLM
from awq.quantize.quantizer import AwqQuantizer
from transformers import AutoTokenizer


class SafeQuantizer(AwqQuantizer):
    """AutoAWQ's scale search, without its silent corruption on CPU.

    The search saves the weights as `{k: v.cpu() for ... in state_dict()}` before its 20 trials and loads
    them back after each. On CPU `.cpu()` is no copy, so every trial changes the saved weights as well and
    the model is destroyed (perplexity 15 -> 82 000). Handing out a cloned state dict mends it.
    """

    def _compute_best_scale(
        self, x: Any, w_mean: Any, x_mean: Any, module2inspect: Any, *rest: Any, **named: Any
    ) -> Any:
        original = module2inspect.state_dict
        module2inspect.state_dict = lambda: {name: value.clone() for name, value in original().items()}
        try:
            return super()._compute_best_scale(x, w_mean, x_mean, module2inspect, *rest, **named)
        finally:
            del module2inspect.state_dict


def main(dense: str, out: str, calibration: str, group_size: int) -> None:
    samples = json.loads(Path(calibration).read_text(encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(dense)
    # float32: in bfloat16 the search is 20 times slower on CPU.
    model = AutoAWQForCausalLM.from_pretrained(
        dense, torch_dtype=torch.float32, device_map="cpu", low_cpu_mem_usage=True
    )
    model.quantize(
        tokenizer,
        quant_config={"zero_point": True, "q_group_size": group_size, "w_bit": 4, "version": "GEMM"},
        calib_data=samples,
        max_calib_samples=len(samples),
        max_calib_seq_len=max(len(sample) for sample in samples),
        apply_clip=False,
        quantizer_cls=SafeQuantizer,
    )
    model.model.half()
    model.model.config.torch_dtype = torch.float16
    model.save_quantized(out)
    print("saved", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
