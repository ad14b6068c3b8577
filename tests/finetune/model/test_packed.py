"""Packed weights learn what dense ones learn, and no ready-made kernel is asked."""

from pathlib import Path
from typing import Any

import pytest
import torch

from data.errors import UserError
from finetune.model import add_lora, check_gradients, load_base
from finetune.model.choice import choose, dense_bytes
from finetune.model.packed import PackedLinear
from finetune.recipe import Lora
from finetune.training.collate import lay
from finetune.training.loss import token_losses


def losses(base: Path, weights: str, steps: int) -> list[float]:
    torch.manual_seed(0)
    model = add_lora(load_base(base, weights, torch.float32), Lora(r=4, alpha=8)).train()
    adapter = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(adapter, lr=2e-3)
    generator = torch.Generator().manual_seed(1)
    batch = lay([(ids, ids) for ids in torch.randint(3, 40000, (2, 24), generator=generator).tolist()], 64)
    seen = []
    for _ in range(steps):
        loss = token_losses(model, batch).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seen.append(float(loss))
    return seen


def test_twenty_steps_give_the_same_losses(base: Path) -> None:
    dense, packed = losses(base, "dense", 20), losses(base, "packed", 20)
    assert packed == pytest.approx(dense, rel=1e-3)
    assert dense[-1] < 0.9 * dense[0]


@pytest.fixture(scope="module")
def packed(base: Path) -> Any:
    return load_base(base, "packed", torch.float32)


def test_every_awq_layer_stays_packed(packed: Any, base: Path) -> None:
    layers = [module for module in packed.modules() if isinstance(module, PackedLinear)]
    assert len(layers) == 7 * packed.config.num_hidden_layers
    held = sum(b.nbytes for layer in layers for b in layer.buffers())
    assert held < 0.2 * sum(4 * layer.in_features * layer.out_features for layer in layers)
    assert dense_bytes(base, torch.float32) == 4 * sum(
        p.numel() for p in load_base(base, "dense", torch.bfloat16).parameters()
    )


def test_gradients_survive_an_evaluation(packed: Any) -> None:
    """The trap of gptqmodel's CPU kernel: one forward without gradients, and it never gives any again."""
    model = add_lora(packed, Lora(r=2))
    ids = list(range(10, 30))
    check_gradients(model, ids)
    with torch.inference_mode():
        model.eval()(input_ids=torch.tensor([ids]))
    check_gradients(model, ids)


def test_products_are_torchs_on_the_dense_weight(packed: Any) -> None:
    layer = packed.model.layers[3].mlp.down_proj
    layer = layer.get_base_layer() if hasattr(layer, "get_base_layer") else layer
    x = torch.randn(2, 5, layer.in_features, requires_grad=True)
    grad = torch.randn(2, 5, layer.out_features)
    ours = layer(x)
    ours.backward(grad)
    mine, x.grad = x.grad, None
    theirs = torch.nn.functional.linear(x, layer.weight)
    theirs.backward(grad)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(mine, x.grad)


def test_auto_is_packed_where_dense_would_not_leave_room(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = dense_bytes(base, torch.float32)
    for free, expected in ((2 * needed, "dense"), (2 * needed - 1, "packed")):
        monkeypatch.setattr("finetune.model.choice.free_bytes", lambda free=free: free)
        choice = choose(base, "auto", torch.float32)
        assert choice.weights == expected
        assert f"dense weights take {needed / 1e9:.1f} GB of {free / 1e9:.1f} GB free" in choice.why


def test_a_checkpoint_that_does_not_fit_its_config(base: Path, tmp_path: Path) -> None:
    import json

    for path in base.iterdir():
        if path.is_file() and path.name != "config.json":
            (tmp_path / path.name).symlink_to(path.resolve())
    config = json.loads((base / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 31}))
    with pytest.raises(UserError, match="does not fit its config"):
        load_base(tmp_path, "dense", torch.float32)
