"""Plain vLLM's half of `bench.adopted`: each folder as it is, by vLLM's own Python interface.

`python -m bench.adopted_vllm ASKED.json OUT.json`
"""

import json
import sys
from pathlib import Path
from typing import Any

from data.probes import Probes
from serve import parity
from serve.engine.defaults import LORA_MODULES


def main() -> None:
    from vllm import LLM, SamplingParams
    from vllm.inputs import TokensPrompt
    from vllm.lora.request import LoRARequest

    asked = json.loads(Path(sys.argv[1]).read_text())
    llm = LLM(
        model=asked["base"],
        enable_lora=True,
        # Left to itself it wraps lm_head too, which on a CPU breaks at prompt_logprobs.
        lora_target_modules=list(LORA_MODULES),
        max_lora_rank=64,
        max_loras=1,
        max_model_len=512,
        enforce_eager=True,
    )
    params = SamplingParams(max_tokens=1, temperature=0, prompt_logprobs=20)

    def says(probes: Probes, request: Any) -> list[list[tuple[int, float]]]:
        prompts = [TokensPrompt(prompt_token_ids=probe.token_ids) for probe in probes.probes]
        outputs = llm.generate(prompts, params, lora_request=request, use_tqdm=False)
        found = []
        for probe, output in zip(probes.probes, outputs, strict=True):
            for place in probe.places:
                named = output.prompt_logprobs[place.at]
                found.append(
                    sorted(((token, one.logprob) for token, one in named.items()), key=lambda pair: -pair[1])
                )
        return found

    answers = {}
    for number, sample in enumerate(asked["samples"], start=1):
        probes = Probes.model_validate_json(Path(sample["probes"]).read_bytes())
        places = [place for probe in probes.probes for place in probe.places]
        try:
            base = says(probes, None)
            adapted = says(probes, LoRARequest(sample["name"], number, sample["folder"]))
        except Exception as error:
            answers[sample["name"]] = {"outcome": "error", "why": f"{type(error).__name__}: {error}"[:400]}
            continue
        theirs = [place.adapter for place in places]
        found = parity.agreement(list(zip(theirs, adapted, strict=True)))
        effect = parity.agreement(list(zip(base, adapted, strict=True))).mean_kl
        trained = parity.agreement([(place.base, place.adapter) for place in places]).mean_kl
        base_agrees = parity.agreement(list(zip([p.base for p in places], base, strict=True)))
        bound = parity.adapter_bound(base_agrees, effect=trained)
        outcome = "inert" if effect < trained / 10 else ("parity" if found.mean_kl <= bound else "wrong")
        answers[sample["name"]] = {"outcome": outcome, "effect": round(effect, 6), **found.as_json()}
    Path(sys.argv[2]).write_text(json.dumps(answers, indent=1))


if __name__ == "__main__":
    main()
