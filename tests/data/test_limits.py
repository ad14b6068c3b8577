"""The limits that both sides share are those of vLLM and of the server."""

from typing import get_args

from data.limits import LORA_RANKS, MAX_LORA_RANK


def test_ranks_are_those_that_vllm_takes() -> None:
    from vllm.config.lora import MaxLoRARanks

    assert get_args(MaxLoRARanks) == LORA_RANKS


def test_the_server_starts_with_the_shared_rank() -> None:
    import typer.main

    from serve.cli import app

    up = typer.main.get_command(app).commands["up"]  # type: ignore[attr-defined]
    (option,) = (parameter for parameter in up.params if parameter.name == "max_lora_rank")
    assert option.default == MAX_LORA_RANK and MAX_LORA_RANK in LORA_RANKS
