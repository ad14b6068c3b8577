"""The frozen AWQ base, and LoRA on it.

| idea | file |
| --- | --- |
| loading, and which way to hold the weights | `load`, `choice` |
| AutoAWQ's layout, unpacked | `awq` |
| dense weights, made once a machine; packed ones, unpacked as they are used | `dense`, `packed` |
| the adapter, and the proof that it learns | `lora` |
| the products that a CPU is slow at in torch and PEFT | `attention`, `lora_linear`, `allocator` |
"""

from finetune.model.choice import device_name
from finetune.model.load import load_base
from finetune.model.lora import add_lora, check_gradients

__all__ = ["add_lora", "check_gradients", "device_name", "load_base"]
