"""Requests for which the engine computed no numbers: NaN or infinity in their logits.

vLLM samples from such a row all the same: some token, again and again, as good an answer as any to a client.
It can count the NaN of each request and step (`VLLM_COMPUTE_NANS_IN_LOGITS`), on every runner, and sends the
count along with the token, but only its own metrics look at it.
"""

import itertools
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from vllm.inputs import TokensPrompt
from vllm.lora.request import LoRARequest
from vllm.platforms import current_platform
from vllm.sampling_params import SamplingParams
from vllm.v1.engine import EngineCoreOutput
from vllm.v1.engine.exceptions import EngineGenerateError
from vllm.v1.engine.output_processor import RequestState
from vllm.v1.kv_cache_interface import KVCacheConfig

from serve.engine.protocol import NoNumbers
from serve.registry.records import Version


def install() -> None:
    """In a process that runs a model: have vLLM count infinity too, and leave no NaN to others.

    A block of the KV cache that is given to another request holds what the last one wrote, and attention
    multiplies all of it, what is not the request's own by zero. NaN times zero is NaN: so the next requests,
    the base's too, would have no numbers either. vLLM can empty blocks when it gives them away, and does for
    caches of mixed precision, where it saw the same.
    """
    from vllm.v1.worker import gpu_model_runner

    KVCacheConfig.needs_kv_cache_zeroing = property(lambda _: True)
    gpu_model_runner.count_nans_per_row = count_unsound
    if not current_platform.is_cpu():
        from vllm.v1.worker.gpu.sample import sampler

        sampler.get_num_nans = count_unsound


def count_unsound(logits: torch.Tensor) -> torch.Tensor:
    """1 for each row of (rows, vocabulary) that gives no probabilities, else 0; int32, without a wait.

    That is one with NaN, with infinity, or with minus infinity alone. Some minus infinity says that a token
    is impossible, as the masks of a grammar do, which may have been at the logits before. The largest is NaN
    where any is.
    """
    return (~logits.amax(dim=-1).isfinite()).int()


class Unsound(Exception):  # noqa: N818 - it ends a request within vLLM, which knows no other way
    """A request's logits are no numbers."""


@dataclass
class Watched:
    """A request. `tokens`, its prompt's and its answer's, are those behind which no numbers came, if any."""

    tokens: list[int] | None = None


class Numbers:
    """Looks at what an engine's process sends of each request that is watched."""

    def __init__(self, client: Any) -> None:
        """`client` is vLLM's AsyncLLM."""
        self._client = client
        self._again = itertools.count(1)
        self._watched: dict[str, Watched] = {}
        self._process = client.output_processor.process_outputs
        client.output_processor.process_outputs = self._look

    @contextmanager
    def watched(self, request: str) -> Iterator[Watched]:
        """Have the request of this id end in an error of vLLM, before the token that came of no numbers."""
        seen = self._watched[request] = Watched()
        try:
            yield seen
        finally:
            del self._watched[request]

    async def fault(
        self, seen: Watched, version: Version | None, lora: LoRARequest | None, of_prompt: bool
    ) -> NoNumbers:
        """Whose fault it was: the tokens are asked again, of the adapter and of the base.

        A version that is blamed is not served again, and it may share a prompt with a base that computes no
        numbers of it either, or a machine that was wrong once. `of_prompt`: the prompt's own log
        probabilities were asked for.
        """
        if version is None:
            return NoNumbers.by_base()
        if await self._computes(seen, lora, of_prompt):
            return NoNumbers.by_chance()
        if not await self._computes(seen, None, of_prompt):
            return NoNumbers.by_base()
        return NoNumbers.by_version(version)

    async def _computes(self, seen: Watched, lora: LoRARequest | None, of_prompt: bool) -> bool:
        """Whether numbers come behind these tokens, without anything that was computed before."""
        asked = SamplingParams(max_tokens=1, detokenize=False, prompt_logprobs=1 if of_prompt else None)
        name = f"again-{next(self._again)}"
        prompt = TokensPrompt(prompt_token_ids=seen.tokens, cache_salt=secrets.token_hex())
        with self.watched(name) as again:
            try:
                async for _ in self._client.generate(prompt, asked, name, lora_request=lora):
                    pass
            except EngineGenerateError:
                if not again.tokens:
                    raise
        return not again.tokens

    def _look(self, outputs: list[EngineCoreOutput], *rest: Any, **more: Any) -> Any:
        for output in outputs:
            if output.num_nans_in_logits or _unsound_prompt(output):
                self._end(self._client.output_processor.request_states.get(output.request_id))
        return self._process(outputs, *rest, **more)

    def _end(self, state: RequestState | None) -> None:
        seen = self._watched.get(state.external_req_id) if state else None
        if state is None or seen is None or state.queue is None:
            return
        seen.tokens = [*(state.prompt_token_ids or ()), *state.detokenizer.output_token_ids]
        state.queue.put(Unsound())  # what comes behind it is not taken


def _unsound_prompt(output: EngineCoreOutput) -> bool:
    """Whether log probabilities of the prompt, where they were asked for, are none."""
    prompt = output.new_prompt_logprobs_tensors
    return prompt is not None and bool(prompt.logprobs.isnan().any())
