"""The fused LoRA product against PEFT's own forward and autograd."""

import copy

import peft
import pytest
import torch

from finetune.model.lora_linear import fuse_lora


class Two(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = torch.nn.Linear(24, 40, bias=False)
        self.down = torch.nn.Linear(40, 24, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.down(torch.nn.functional.silu(self.up(x)))
        return hidden


def adapted(**settings: object) -> torch.nn.Module:
    torch.manual_seed(0)
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=["up", "down"], **settings)  # type: ignore[arg-type]
    model = peft.get_peft_model(Two(), config)  # type: ignore[arg-type]
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return model


@pytest.mark.parametrize("shape", [(3, 24), (2, 5, 24)])
def test_output_and_gradients_are_those_of_peft(shape: tuple[int, ...]) -> None:
    plain = adapted()
    fused = copy.deepcopy(plain)
    assert fuse_lora(fused) == 2
    results = []
    for model in (plain, fused):
        torch.manual_seed(1)
        x = torch.randn(shape, requires_grad=True)
        output = model(x)
        (output**2).sum().backward()
        grads = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
        assert len(grads) == 4
        results.append({"output": output, "x": x.grad, **grads})
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-5)


def test_the_base_answers_when_adapters_are_off() -> None:
    model = adapted()
    x = torch.randn(3, 24)
    with model.disable_adapter():
        base = model(x)
    fuse_lora(model)
    assert not torch.allclose(model(x), base)
    with model.disable_adapter():
        torch.testing.assert_close(model(x), base)


def test_dora_keeps_pefts_forward() -> None:
    assert fuse_lora(adapted(use_dora=True)) == 0


def test_dropout_falls_as_pefts() -> None:
    plain = adapted(lora_dropout=0.5)
    fused = copy.deepcopy(plain)
    assert fuse_lora(fused) == 2
    x, outputs = torch.randn(3, 24), []
    for model in (plain, fused):
        torch.manual_seed(5)
        outputs.append(model.train()(x))
    torch.testing.assert_close(outputs[1], outputs[0])
    torch.testing.assert_close(fused.eval()(x), plain.eval()(x))


class Siblings(torch.nn.Module):
    """Calls its layers as transformers' attention and MLP do."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        for name, out in (("q_proj", 24), ("k_proj", 8), ("v_proj", 8), ("gate_proj", 40), ("up_proj", 40)):
            setattr(self, name, torch.nn.Linear(24, out, bias=bias))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shared = x * 2
        attention = self.q_proj(shared)[..., :8] * self.k_proj(shared) + self.v_proj(shared)
        gated: torch.Tensor = torch.tanh(self.gate_proj(x)) * self.up_proj(x)
        return torch.cat([attention, gated], -1)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    "targets", [["q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"], ["q_proj", "v_proj"]]
)
def test_layers_with_one_input_are_computed_together(bias: bool, targets: list[str]) -> None:
    torch.manual_seed(0)
    config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=targets)
    plain = peft.get_peft_model(Siblings(bias), config)  # type: ignore[arg-type]
    for name, parameter in plain.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    fused = copy.deepcopy(plain)
    assert fuse_lora(fused) == len(targets)
    results = []
    for model in (plain, fused):
        torch.manual_seed(1)
        x = torch.randn(2, 5, 24, requires_grad=True)
        for _ in range(2):  # nothing of one call is left for the next
            output = model(x)
        (output**2).sum().backward()
        grads = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
        results.append({"output": output, "x": x.grad, **grads})
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-5)
