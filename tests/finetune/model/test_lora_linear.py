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


@pytest.mark.parametrize("settings", [{"lora_dropout": 0.5}, {"use_dora": True}])
def test_layers_that_do_more_keep_pefts_forward(settings: dict[str, object]) -> None:
    assert fuse_lora(adapted(**settings)) == 0
