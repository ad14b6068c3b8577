"""Probes that are computed for adapters from elsewhere say what PEFT says, in a process that yields."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from data.errors import UserError
from data.probes import Probes
from finetune.training.probes import Asked, probe_all
from serve.adopt import probes as computing
from serve.adopt.adopt import adopt
from serve.adopt.folder import look
from serve.client.probes import add_probes
from tests.adopted.conftest import Grafts


@pytest.fixture(scope="module")
def adapter(grafts: Grafts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("probed") / "adapter"
    adopt(look(grafts.samples["Unsloth"].folder), grafts.layout, out, "folder unsloth", "x")
    return out


@pytest.fixture(scope="module")
def computed(grafts: Grafts, adapter: Path) -> Probes:
    out = adapter.parent / "probes.json"
    computing.compute(adapter, grafts.base, out, 500)
    return Probes.model_validate_json(out.read_bytes())


def test_they_are_what_peft_says_of_the_folder_that_was_given(grafts: Grafts, computed: Probes) -> None:
    from peft import PeftModel

    probe = computed.probes[0]
    ids = torch.tensor([probe.token_ids])
    with torch.inference_mode():
        base = torch.log_softmax(grafts.model(input_ids=ids).logits[0].float(), -1)
        adapted = PeftModel.from_pretrained(grafts.model, grafts.samples["Unsloth"].folder).eval()
        try:
            ours = torch.log_softmax(adapted(input_ids=ids).logits[0].float(), -1)
        finally:
            adapted.unload()
    for place in probe.places:
        for told, said in ((place.base, base), (place.adapter, ours)):
            for token, value in told[:3]:
                # bfloat16 where this machine is fastest in that.
                assert abs(value - float(said[place.at - 1, token])) < 0.2


def test_they_look_at_the_question_and_at_the_adapters_own_answer(computed: Probes) -> None:
    assert len(computed.probes) == 8
    for probe in computed.probes:
        assert {place.at for place in probe.places} >= set(
            range(len(probe.token_ids) - 8, len(probe.token_ids))
        )
        for place in probe.places[-8:]:
            assert place.adapter[0][0] == probe.token_ids[place.at], "its likeliest token is its answer"


def test_who_pushes_computes_them_once(
    grafts: Grafts, adapter: Path, computed: Probes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = adopt(look(grafts.samples["Unsloth"].folder), grafts.layout, tmp_path / "one", "x", "x")
    calls: list[Path] = []

    def compute(adapter: Path, base: Path, out: Path, seconds: float, gpu: bool) -> None:
        calls.append(base)
        out.write_text(computed.model_dump_json())

    monkeypatch.setattr("serve.client.probes.compute", compute)
    monkeypatch.setenv("ENXERTO_HOME", str(grafts.home))
    (tmp_path / "two").mkdir()
    assert add_probes(tmp_path / "one", manifest, None) is None
    assert add_probes(tmp_path / "two", manifest, None) is None
    assert (tmp_path / "one" / "probes.json").read_bytes() == (tmp_path / "two" / "probes.json").read_bytes()
    assert calls == [grafts.base]
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path / "elsewhere"))
    assert "is not on this machine" in str(add_probes(tmp_path / "one", manifest, None))


def test_the_process_has_the_lowest_priority_and_no_gpu(
    grafts: Grafts, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = (
        "import os,sys,time; time.sleep(0.2); "
        "open(sys.argv[sys.argv.index('--out')+1],'w').write("
        "f\"{os.getpriority(os.PRIO_PROCESS,0)} {os.environ['CUDA_VISIBLE_DEVICES']!r} "
        "{os.environ['OMP_NUM_THREADS']}\")"
    )
    started = subprocess.Popen

    def instead(command: list[str], **settings: object) -> "subprocess.Popen[str]":
        assert command[:3] == [sys.executable, "-m", "finetune"]
        return started([sys.executable, "-c", report, *command[3:]], **settings)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(subprocess, "Popen", instead)
    computing.compute(adapter, grafts.base, tmp_path / "said", 60)
    threads = max(1, (os.cpu_count() or 1) // 4)
    assert (tmp_path / "said").read_text() == f"19 '' {threads}"


def test_without_training_nothing_is_started(
    adapter: Path, grafts: Grafts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(computing, "find_spec", lambda name: None if name == "peft" else object())
    monkeypatch.setattr(subprocess, "Popen", None)
    with pytest.raises(UserError, match="probes need training installed, and peft is not here"):
        computing.compute(adapter, grafts.base, tmp_path / "probes.json", 100)


def test_rounding_says_how_far_an_adapter_magnifies_what_it_does_to_the_base(grafts: Grafts) -> None:
    from peft import LoraConfig, get_peft_model

    lora = LoraConfig(r=4, lora_alpha=4, target_modules=["q_proj", "down_proj"])
    adapted = get_peft_model(grafts.model, lora).eval()
    asked: list[Asked] = [("fixed", list(range(5, 25)), [15, 16, 17, 18, 19])]
    try:
        without = probe_all(adapted, asked, "dense").rounding
        assert without and 0 < without.base == without.adapter, "its B is zero: it is the base"
        with torch.no_grad():
            for name, values in adapted.named_parameters():
                if "lora_B" in name:
                    values.copy_(torch.randn(values.shape, generator=torch.Generator().manual_seed(3)))
        strong = probe_all(adapted, asked, "dense").rounding
        assert strong and strong.base == without.base
        assert strong.adapter != strong.base
    finally:
        adapted.unload()
