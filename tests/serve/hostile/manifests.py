"""Manifests of another adapter, base or format, and what a page or a terminal would obey."""

from tests.serve.hostile.configs import TOO_LONG
from tests.serve.hostile.forge import (
    Cases,
    beside,
    manifest,
    manifest_text,
    manifest_with,
    merged,
    sent,
    tarred,
    training_with,
)
from tests.serve.tiny import CONFIG, WEIGHTS

MANIFESTS: Cases = {
    "another base of the same shapes": (
        manifest(lambda m: m["base"].update(fingerprint="sha256:" + "0" * 64)),
        "was trained on base 'tiny-awq' (sha256:000000000000)",
    ),
    "another base's name": (
        sent(lambda f: f.update({CONFIG: merged(f[CONFIG], {"base_model_name_or_path": "other-awq"})})),
        "manifest.json 'tiny-awq'",
    ),
    "another chat format": (manifest(lambda m: m["renderer"].update(version=2)), "chat format template 2"),
    "another template": (manifest(lambda m: m["renderer"].update(digest="sha256:0")), "chat format"),
    "format version true": (manifest(lambda m: m["renderer"].update(version=True)), "must be a whole number"),
    "config of another": (
        sent(lambda f: f.update({CONFIG: merged(f[CONFIG], {"lora_alpha": 4})}), signed=False),
        "does not describe this adapter_config.json",
    ),
    "weights of another": (
        sent(lambda f: f.update({WEIGHTS: f[WEIGHTS][:-1] + b"\1"}), signed=False),
        "does not describe this adapter_model.safetensors",
    ),
    "size of another": (
        manifest(lambda m: m["files"][CONFIG].update(size=1)),
        "does not describe this adapter_config.json",
    ),
    "digest of nothing": (
        manifest(lambda m: m["files"][CONFIG].update(sha256="")),
        "does not describe this adapter_config.json",
    ),
    "no digests": (manifest(lambda m: m["files"].clear()), "does not describe this adapter_config.json"),
    "file that leads out": (
        manifest(lambda m: m["files"].update({"../../x\n": {"sha256": "sha256:0", "size": 1}})),
        "does not describe this ../../x\\n (absent)",
    ),
    "another schema": (manifest(lambda m: m.update(schema_version=2)), "schema_version"),
    "unknown field": (manifest(lambda m: m.update(hook="os.system")), "hook: unknown key"),
    "without a base": (manifest(lambda m: m.pop("base")), "base: missing"),
    "repeated base": (manifest_with('"base": {}'), "the key 'base' is there twice"),
    "loss 1e999": (training_with('"loss": 1e999'), "the number 1e999 is too large"),
    "loss NaN": (training_with('"loss": NaN'), "NaN is no JSON number"),
    "loss of 50 000 digits": (training_with(f'"loss": {TOO_LONG}'), "a number has 50002 digits"),
    "half a character in a value": (training_with('"by": ["\\udfff"]'), "half a character"),
    "100 000 sources": (
        manifest(lambda m: m["dataset"].update(sources=[1] * 100_000)),
        "more than 16384 values",
    ),
    "terminal's orders in the name": (manifest(lambda m: m.update(name="\x1b]0;x\7")), "control character"),
    "terminal's orders in the base's name": (
        manifest(lambda m: m["base"].update(name="a\x9b2J")),
        "control character",
    ),
    "terminal's orders in a version": (manifest(lambda m: m.update(code={"enxerto": "\r\n"})), "control"),
    "NUL in the renderer's digest": (
        manifest(lambda m: m["renderer"].update(digest="a\0b")),
        "control character",
    ),
    "turned text": (manifest(lambda m: m.update(name="\u202egnp")), "control character"),
    "name of 2000 letters": (manifest(lambda m: m.update(name="n" * 2000)), "at most 1024 characters"),
    "no JSON": (manifest_text(b"\x80\x04\x95"), "manifest.json is no adapter manifest"),
    "tar for a manifest": (manifest_text(tarred(b"x")), "manifest.json is no adapter manifest"),
    "list for a manifest": (manifest_text("[]"), "must hold `key: value` pairs"),
    "manifest nested deep": (manifest_text("[" * 16_000), "nested too deeply"),
    "longer than a manifest": (manifest_text(b"{}" + b" " * 2**20), "at most 1048576 go"),
    "report that is no JSON": (beside("report.json", b"<script>"), "report.json is not the JSON"),
    "report that is a list": (beside("report.json", b"[]"), "it is not an object"),
    "report with NaN": (beside("report.json", b'{"metrics": {"accuracy": NaN}}'), "NaN is no JSON number"),
    "report with 1e999": (beside("report.json", b'{"metrics": {"accuracy": 1e999}}'), "1e999 is too large"),
    "report of lists": (beside("report.json", b"[" + b"[]," * 2**20 + b"[]]"), "more than 524288 values"),
    "probes that are no JSON": (beside("probes.json", b"PK\3\4"), "probes.json is not the JSON"),
    "probes of another shape": (beside("probes.json", b'{"a": 1}'), "probes.json is not the JSON"),
    "probes with infinite numbers": (
        beside(
            "probes.json",
            b'{"computed":"x","probes":[{"source":"fixed","token_ids":[1,2],"places":'
            b'[{"at":1,"base":[[1,-1e999]],"adapter":[[1,0]]}]}]}',
        ),
        "probes.json is not the JSON",
    ),
    "probes with a repeated key": (beside("probes.json", b'{"a": 1, "a": 2}'), "the key 'a' is there twice"),
}
