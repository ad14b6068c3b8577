"""The fused normalisation against transformers' own."""

import torch
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from finetune.model.rms_norm import fuse_norms, rms_norm


def norm(dtype: torch.dtype) -> LlamaRMSNorm:
    torch.manual_seed(0)
    module = LlamaRMSNorm(48, eps=1e-5)
    with torch.no_grad():
        module.weight.uniform_(0.5, 2)
    return module.to(dtype).requires_grad_(False)


def gradient_and_output(function: object, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = x.clone().requires_grad_()
    output = function(leaf)  # type: ignore[operator]
    output.backward(torch.linspace(-1, 1, output.numel()).view_as(output).to(output.dtype))
    assert leaf.grad is not None
    return output, leaf.grad


def test_in_float32_it_is_transformers() -> None:
    module, x = norm(torch.float32), torch.randn(2, 7, 48) * 3
    theirs = gradient_and_output(module.forward, x)
    ours = gradient_and_output(lambda x: rms_norm(x, module.weight, module.variance_epsilon), x)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_in_bfloat16_it_is_as_near_to_float32() -> None:
    exact, half = norm(torch.float32), norm(torch.bfloat16)
    x = torch.randn(64, 48) * 3
    reference = gradient_and_output(exact.forward, x.bfloat16().float())
    theirs = gradient_and_output(half.forward, x.bfloat16())
    assert fuse_norms(torch.nn.Sequential(half)) == 1
    ours = gradient_and_output(half.forward, x.bfloat16())
    for right, mine, torchs in zip(reference, ours, theirs, strict=True):
        assert (mine.float() - right).norm() <= 1.25 * (torchs.float() - right).norm()
