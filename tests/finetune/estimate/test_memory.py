"""What a layer keeps, against what autograd saved in a real one."""

from typing import Any

import pytest
import torch

from finetune.estimate.attention import kept
from finetune.estimate.devices import Device
from finetune.estimate.memory import KERNEL, held, kept_in_layer, memory, weight_bytes
from finetune.estimate.shapes import adapter_numbers
from finetune.training import loss
from finetune.training.collate import lay
from tests.finetune.estimate.model import recipe, shape, trainable

TOKENS = 192
CPU = {torch.float32: Device("cpu", "cpu", 16e9, 4), torch.bfloat16: Device("cpu", "cpu", 16e9, 2)}


def saved(layers: int, wanted: Any, dtype: torch.dtype) -> int:
    """Bytes of the different storages that one forward pass leaves for the backward pass."""
    model = trainable(shape(layers), wanted, dtype)
    own = {p.untyped_storage().data_ptr() for p in [*model.parameters(), *model.buffers()]}
    kept: dict[int, Any] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage  # held, so that no other takes its place
        return tensor

    row = [at % 512 for at in range(TOKENS)]
    batch = lay([(row, row)], fill=1)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden = model.get_base_model().model(**batch.inputs, use_cache=False).last_hidden_state
    assert hidden.requires_grad
    return sum(storage.nbytes() for storage in kept.values())


@pytest.mark.parametrize("dtype", list(CPU))
@pytest.mark.parametrize(
    "lora",
    [
        {},
        {"r": 40},
        {"targets": ["q_proj", "v_proj"]},
        {"targets": ["o_proj", "up_proj"]},
        {"targets": ["down_proj"]},
        {"dropout": 0.1},
    ],
    ids=str,
)
def test_a_layer_keeps_what_autograd_saves(lora: dict[str, Any], dtype: torch.dtype) -> None:
    wanted = recipe(**lora)
    # The first layer is left out: a target above it may be the first thing that has a gradient at all.
    per_layer = (saved(4, wanted, dtype) - saved(2, wanted, dtype)) / 2
    assert kept_in_layer(shape(), wanted, CPU[dtype], TOKENS, kept(TOKENS)) == pytest.approx(
        per_layer, rel=0.01
    )


def test_recomputing_keeps_the_input_of_each_layer_and_one_whole_layer() -> None:
    device, plain = CPU[torch.bfloat16], recipe()
    again = recipe(train={"gradient_checkpointing": True})
    few, many = (memory(shape(count), again, device, (4096, 1)).parts["activations"] for count in (2, 12))
    assert few < many
    assert many - few == 10 * 4096 * 96 * 2
    assert many < memory(shape(12), plain, device, (4096, 1)).parts["activations"] / 4


def test_optimisers_keep_what_they_keep() -> None:
    trained = adapter_numbers(shape(), recipe().lora)
    found = {
        name: memory(shape(), recipe(train={"optimizer": name}), CPU[torch.float32], (64, 1)).parts
        for name in ("adamw", "sgd")
    }
    assert found["adamw"]["adapter"] == 4 * trained
    assert found["adamw"]["gradients and optimiser"] == 12 * trained
    assert found["sgd"]["gradients and optimiser"] == 4 * trained


def test_logits_grow_up_to_a_chunk() -> None:
    def logits(learnt: int) -> float:
        return memory(shape(), recipe(), CPU[torch.float32], (1 << 20, learnt)).parts["logits"]

    assert logits(100) == 100 * 512 * 8
    assert logits(1 << 17) == logits(1 << 19) == 8 * loss.LOGITS


def test_products_of_new_shapes_are_kept_up_to_onednns_limit() -> None:
    def compiled(dtype: torch.dtype, rows: int, passes: int) -> float:
        found = memory(shape(), recipe(), CPU[dtype], (64, 1), (rows, passes))
        return found.parts.get("compiled products", 0.0)

    assert compiled(torch.bfloat16, 10, 2) == 120 * KERNEL
    assert compiled(torch.bfloat16, 1000, 32) == 1024 * KERNEL
    assert compiled(torch.float32, 10, 2) == 0  # MKL compiles nothing


def test_a_gpu_uses_one_place_twice() -> None:
    gpu = Device("gpu", "cuda", 80e9, 2)
    plain, wide = recipe(train={"gradient_checkpointing": False}), (4096, 4000)
    parts = memory(shape(), plain, gpu, wide).parts
    assert "a layer's products" not in parts
    assert parts["logits"] == 4000 * 512 * 10
    assert {"compiled products", "heap in pieces"}.isdisjoint(parts)


def test_weights_are_packed_where_dense_ones_take_too_much() -> None:
    needed = weight_bytes(shape(), "dense", 2)
    for memory_bytes, expected in ((2 * needed, "dense"), (2 * needed - 2, "packed")):
        assert held(shape(), recipe(), Device("gpu", "cuda", memory_bytes, 2)) == expected


def test_making_dense_weights_may_be_the_peak() -> None:
    wide, device = shape(vocab_size=200_000), CPU[torch.float32]
    later, first = (memory(wide, recipe(), device, (64, 1), fresh=fresh).total for fresh in (False, True))
    assert first > later + weight_bytes(wide, "dense", 4)
