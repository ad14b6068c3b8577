"""`serve push` of folders that others wrote, to the real app: what enters, and what is said of it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from safetensors.numpy import save_file

from data.errors import UserError
from data.policy import Policy
from serve.adopt import probes as computing
from serve.client import registry
from serve.client.push import push
from serve.registry.fsck import fsck
from tests.adopted import plain
from tests.serve import tiny
from tests.serve.test_cli import serve
from tests.serve.test_client import listening
from tests.serve.tiny import CONFIG, WEIGHTS, Base, TinyServer


@pytest.fixture
def base(tmp_path: Path) -> Base:
    return tiny.make_base(tmp_path / "base", modules=plain.MODULES)


@pytest.fixture
def server(tmp_path: Path, base: Base, monkeypatch: pytest.MonkeyPatch) -> TinyServer:
    made = tiny.make_server(tmp_path / "registry", base, probe_seconds=0)
    monkeypatch.setenv("ENXERTO_API_KEY", made.key)
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path / "home"))
    return made


@pytest.fixture
def url(server: TinyServer) -> Iterator[str]:
    with listening(server.app) as url:
        yield url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return plain.write(tmp_path / "outputs")


def test_a_trainers_folder_answers_and_is_marked_as_adopted(
    server: TinyServer, folder: Path, url: str
) -> None:
    said: list[str] = []
    pushed = push(folder, "foreign", ["default"], url, say=said.append)
    assert (pushed["state"], pushed["aliases"]) == ("ready", ["default"])
    assert pushed["adopted"]["source"] == "folder outputs"
    assert pushed["adopted"]["claimed_base"] == "grafters/Tiny"
    assert "no probes came with it, and this server computes none" in pushed["adopted"]["without_probes"]
    assert said[0] == "not uploaded: tokenizer.json, training_args.bin"
    assert said[1].startswith("trained elsewhere: folder outputs (peft, written by transformers) claims base")
    assert "parity" in said[-1]

    (listed,) = registry.adapters(url)
    assert listed["versions"][0]["adopted"] == "folder outputs"
    (shown,) = registry.adapter("foreign", url)["versions"]
    assert shown["provenance"]["adopted"]["layout"] == "peft"
    assert set(shown["files"]) == {"adapter_config.json", "adapter_model.safetensors", "manifest.json"}
    assert push(folder, "foreign", ["default"], url)["version"] == 1, "the same files are the same version"
    assert fsck(server.registry.storage).problems == []


def test_the_command_says_what_it_left_and_what_is_not_known(folder: Path, url: str) -> None:
    code, out, err = serve("push", folder, "--name", "foreign", url=url)
    assert code == 0 and out.startswith("foreign@1 is ready, alias default (sha256:")
    assert err.splitlines()[0] == "not uploaded: tokenizer.json, training_args.bin"
    assert "claims base grafters/Tiny" in err and "its layers fit tiny-awq" in err
    code, out, _ = serve("show", "foreign", url=url)
    assert code == 0
    assert "trained elsewhere: folder outputs (peft, sha256:" in out
    assert "claims base grafters/Tiny; parity not checked: no probes came with it" in out


def test_one_of_ours_is_not_marked(tmp_path: Path, base: Base, server: TinyServer, url: str) -> None:
    ours = tiny.make_adapter(tmp_path / "ours", base)
    settings = json.loads((ours / CONFIG).read_text()) | {"target_modules": ["q_proj", "k_proj", "down_proj"]}
    (ours / CONFIG).write_text(json.dumps(settings))
    tiny.sign(ours, base)
    pushed = push(ours, "ours", [], url)
    assert "adopted" not in pushed
    assert registry.adapters(url)[0]["versions"][0]["adopted"] is None


def test_another_servers_manifest_is_not_passed_over(folder: Path, url: str) -> None:
    (folder / "manifest.json").write_text('{"base": {}, "files": {}}')
    with pytest.raises(UserError, match=r"manifest\.json is no adapter manifest"):
        push(folder, "foreign", [], url)


def test_some_other_tools_manifest_is_left(folder: Path, url: str) -> None:
    (folder / "manifest.json").write_text('{"icons": []}')
    said: list[str] = []
    assert push(folder, "foreign", [], url, say=said.append)["state"] == "ready"
    assert "manifest.json" in said[0]


def test_what_changes_nothing_is_refused_here_too(tmp_path: Path, url: str) -> None:
    values = {name: value if "lora_A" in name else value * 0 for name, value in plain.tensors().items()}
    inert = plain.write(tmp_path / "inert", values)
    with pytest.raises(UserError, match="changes nothing"):
        push(inert, "inert", [], url)
    assert push(inert, "inert", [], url, allow_noop=True)["state"] == "ready"


def test_values_that_are_no_numbers_are_refused(tmp_path: Path, url: str) -> None:
    values = plain.tensors()
    values[next(iter(values))][0, 0] = np.nan
    with pytest.raises(UserError, match="NaN"):
        push(plain.write(tmp_path / "nan", values, alpha_pattern={"q_proj": 3}), "nan", [], url)


@pytest.mark.parametrize("asked", ["refuse", "probes"])
def test_a_gate_may_ask_more_of_adopted_ones(asked: str, folder: Path, url: str) -> None:
    registry.set_policy("foreign", "default", Policy.model_validate({"adopted": asked}), url)
    why = "`adopted: refuse`" if asked == "refuse" else "no parity probes"
    with pytest.raises(UserError, match=why) as caught:
        push(folder, "foreign", ["default"], url)
    assert "is stored and answers by that name" in str(caught.value)
    assert registry.promote("foreign", 1, "default", url, override="looked at it")["version"] == 1


def test_a_gate_that_asks_for_probes_opens_for_those_that_a_server_computed(
    server: TinyServer, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(adapter: Path, base: Path, out: Path, seconds: float) -> None:
        """What `finetune probe` would find on the tiny engine, which has no model."""
        assert (adapter / WEIGHTS).is_file() and (base / "base.json").is_file() and seconds == 60
        half, quarter = -0.6931471805599453, -1.3862943611198906
        place: dict[str, Any] = {
            "at": 5,
            "base": [[5, half], [0, quarter]],
            "adapter": [[6, half], [0, quarter]],
        }
        probe = {"source": "fixed", "token_ids": list(range(9)), "places": [place]}
        out.write_text(json.dumps({"computed": "by hand", "probes": [probe]}))

    monkeypatch.setattr("serve.routes.uploads.compute", compute)
    server.app.state.settings = tiny.Settings(
        base=server.app.state.settings.base,
        folder=server.app.state.settings.folder,
        max_lora_rank=8,
        probe_seconds=60,
    )
    registry.set_policy("foreign", "default", Policy(adopted="probes"), url)
    pushed = push(folder, "foreign", ["default"], url)
    assert pushed["aliases"] == ["default"] and not pushed["adopted"].get("without_probes")
    (shown,) = registry.adapter("foreign", url)["versions"]
    assert shown["parity"][0]["why"] is None and shown["parity"][0]["found"]["adapter"]["top1"] == 1
    assert "probes.json" not in shown["files"], "what was computed here was not uploaded"
    assert push(folder, "foreign", ["default"], url)["version"] == 1
    assert fsck(server.registry.storage).problems == []


def test_an_adopted_adapter_whose_engine_answers_otherwise_is_not_served(
    server: TinyServer, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(adapter: Path, base: Path, out: Path, seconds: float) -> None:
        place = {"at": 5, "base": [[5, -0.7], [0, -1.4]], "adapter": [[77, -0.1], [78, -3]]}
        probe = {"source": "fixed", "token_ids": list(range(9)), "places": [place]}
        out.write_text(json.dumps({"computed": "by hand", "probes": [probe]}))

    monkeypatch.setattr("serve.routes.uploads.compute", compute)
    object.__setattr__(server.app.state.settings, "probe_seconds", 60.0)
    with pytest.raises(UserError, match=r"parity: .* no alias was moved to it"):
        push(folder, "foreign", ["default"], url)


def test_a_base_that_is_no_model_gets_no_probes_and_says_so(folder: Path, base: Base, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="its probes could not be computed") as caught:
        computing.compute(folder, base.folder, tmp_path / "probes.json", 300)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "probes.json").exists()


def test_probes_that_take_too_long_are_ended(folder: Path, base: Base, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not computed within 0.01 s"):
        computing.compute(folder, base.folder, tmp_path / "probes.json", 0.01)


# --- from elsewhere than a folder ---


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache, as huggingface_hub lays it out; the hub itself is not asked."""
    from huggingface_hub import constants

    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return folder


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def cached(cache: Path, repo: str, adapter: Path, within: str = "") -> None:
    here = cache / f"models--{repo.replace('/', '--')}"
    (here / "refs").mkdir(parents=True)
    (here / "refs" / "main").write_text(COMMIT)
    shutil.copytree(adapter, here / "snapshots" / COMMIT / within)


def test_a_repository_of_the_hub_is_pushed_by_its_commit(folder: Path, cache: Path, url: str) -> None:
    cached(cache, "maria/tuned", folder)
    for given in ("hf:maria/tuned", "hf:maria/tuned@main", f"hf:maria/tuned@{COMMIT}"):
        pushed = push(given, "tuned", [], url)
        assert (pushed["version"], pushed["adopted"]["source"]) == (1, f"hf:maria/tuned@{COMMIT}")


def test_a_folder_of_a_repository_is_pushed(folder: Path, cache: Path, url: str) -> None:
    cached(cache, "maria/tuned", folder, "checkpoint-60")
    pushed = push("hf:maria/tuned/checkpoint-60", "tuned", [], url)
    assert pushed["adopted"]["source"] == f"hf:maria/tuned/checkpoint-60@{COMMIT}"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("hf:maria/absent", "could not be had from the hub"),
        ("hf:maria/tuned@v2", "could not be had from the hub"),
        ("hf:maria", "names no repository"),
        ("hf:maria/tuned@", "names no repository"),
        ("hf:../../etc/passwd", "names no repository|could not be had"),
        ("https://huggingface.co/maria/tuned", "is no place that adapters are taken from"),
        ("gs://bucket/x", "is no place that adapters are taken from"),
        ("s3://", "names no bucket"),
        ("s3://bucket/x?acl=public", "'acl' is no setting"),
    ],
)
def test_what_cannot_be_fetched_is_said_in_one_sentence(
    given: str, why: str, folder: Path, cache: Path, url: str
) -> None:
    cached(cache, "maria/tuned", folder)
    with pytest.raises(UserError, match=why) as caught:
        push(given, "tuned", [], url)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_a_bucket_is_pushed(
    folder: Path, s3: str, s3_url: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import obstore
    from obstore.store import S3Store

    bucket = httpx.URL(s3_url).host
    store = S3Store(
        bucket, endpoint=s3, region="us-east-1", client_options={"allow_http": True}, prefix="runs/outputs"
    )
    for path in folder.iterdir():
        obstore.put(store, path.name, path)
    obstore.put(store, "checkpoint-20/adapter_config.json", b"{}")
    said: list[str] = []
    pushed = push(f"s3://{bucket}/runs/outputs?endpoint={s3}", "tuned", [], url, say=said.append)
    assert (pushed["state"], pushed["adopted"]["source"]) == ("ready", f"s3://{bucket}/runs/outputs")
    assert said[0] == "not uploaded: checkpoint-20/, tokenizer.json, training_args.bin"
    with pytest.raises(UserError, match=r"name one of its folders: outputs"):
        push(f"s3://{bucket}/runs?endpoint={s3}", "tuned", [], url)
    with pytest.raises(UserError, match=r"could not be read|holds no adapter"):
        push(f"s3://{bucket}-absent/runs?endpoint={s3}", "tuned", [], url)


# --- a folder that is none ---


def emptied(folder: Path, **files: bytes) -> Path:
    for path in folder.iterdir():
        path.unlink()
    for name, data in files.items():
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "it has nothing; give the folder that a trainer wrote"),
        ({"adapter_config__json": b"{}", "adapter_model__bin": b"x"}, r"a pickle \(adapter_model.bin\)"),
        ({"adapter_config__json": b"{}", "adapter_model__pt": b"x"}, "weights_only=True"),
        ({"adapter_config__json": b"{}"}, "has adapter_config.json and no adapter_model.safetensors"),
        ({"adapter_model__safetensors": b"x"}, "has weights and no adapter_config.json"),
        ({"model__safetensors": b"x", "config__json": b"{}"}, "holds a whole model"),
        ({"model-00001-of-00002__safetensors": b"x"}, "holds a whole model"),
        ({"consolidated__safetensors": b"x", "params__json": b"{}"}, "holds a whole model"),
        ({"pytorch_lora_weights__safetensors": b"x"}, "an image model's"),
        ({"lora__gguf": b"x"}, "llama.cpp's"),
        ({"notes__txt": b"x", "data__jsonl": b"x"}, "it has data.jsonl, notes.txt; give"),
    ],
)
def test_who_gives_a_wrong_folder_learns_what_is_in_it(
    files: dict[str, bytes], why: str, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=why):
        push(emptied(folder, **files), "x", [], "http://127.0.0.1:9")


def test_checkpoints_within_are_offered_by_name_the_newest_first(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for name in ("checkpoint-60", "checkpoint-120", "adapter"):
        plain.write(run / name)
    with pytest.raises(UserError) as caught:
        push(run, "x", [], "http://127.0.0.1:9")
    offered = str(caught.value)
    assert [offered.index(name) for name in ("/adapter,", "/checkpoint-120,", "/checkpoint-60.")] == sorted(
        offered.index(name) for name in ("/adapter,", "/checkpoint-120,", "/checkpoint-60.")
    )


def test_mistral_finetunes_checkpoint_is_found_within(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "checkpoints" / "checkpoint_000300" / "consolidated"
    folder.mkdir(parents=True)
    save_file({"layers.0.attention.wq.lora_A.weight": np.ones((4, 16), "f4")}, folder / "lora.safetensors")
    with pytest.raises(UserError, match=r"push .*checkpoint_000300/consolidated\."):
        push(tmp_path / "run", "x", [], "http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("absent", "does not exist"),
        ("adapter_model.safetensors", "is a file; give its folder"),
        ("adapter.zip", "is an archive"),
        ("adapter.gguf", "llama.cpp's"),
        ("adapter.txt", "is no folder"),
    ],
)
def test_what_is_no_folder_is_named(name: str, why: str, tmp_path: Path) -> None:
    if name != "absent":
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UserError, match=why):
        push(tmp_path / name, "x", [], "http://127.0.0.1:9")


def test_deepspeeds_parts_are_named(tmp_path: Path) -> None:
    (tmp_path / "global_step60").mkdir()
    with pytest.raises(UserError, match="DeepSpeed or FSDP checkpoint"):
        push(tmp_path, "x", [], "http://127.0.0.1:9")
