"""An adapter from elsewhere, mapped to the one layout that the registry takes: PEFT's, of plain LoRA."""

import json
from dataclasses import dataclass
from pathlib import Path

from data import digest
from data.errors import UserError, shown
from data.manifest import AdapterBase, AdoptedManifest, Adoption, FileEntry
from serve.adopt import mistral, mlx, names, settings
from serve.adopt.folder import CONFIG, MANIFEST, README, WEIGHTS, Found
from serve.adopt.layout import BaseLayout
from serve.adopt.matching import meant
from serve.adopt.settings import Settings
from serve.adopt.weights import Matrix, Source, Values, write
from serve.registry import header

README_BYTES = 2**20


@dataclass(frozen=True)
class Pair:
    """The matrices of one module of the base: A [r, in], B [out, r], and what B @ A is multiplied by.

    `heads` is into how many the rows of B fall, where they are to be put in transformers' order.
    """

    module: str
    a: Source
    b: Source
    scale: float
    heads: int | None = None

    @property
    def rank(self) -> int:
        return self.a.shape[0]


def adopt(found: Found, layout: BaseLayout, out: Path, source: str, name: str) -> AdoptedManifest:
    """Write the adapter that was `found` to the new folder `out`, with a manifest that says where it is from.

    UserError where it is not a plain LoRA that fits the layers of the base, with the first reason.
    """
    told = _settings(found, layout)
    pairs = _pairs(found, told, layout)
    rank, scale = max(pair.rank for pair in pairs), pairs[0].scale
    if rank > layout.max_lora_rank:
        raise UserError(
            f"The adapter has rank {rank}; this server holds ranks up to {layout.max_lora_rank}. Retrain with"
            " a lower rank, or start the server with a higher --max-lora-rank."
        )
    out.mkdir(parents=True)
    matrices = {}
    for pair in pairs:
        inputs, outputs = layout.modules[pair.module]
        begin = f"base_model.model.{pair.module}.lora"
        matrices[f"{begin}_A.weight"] = Matrix(pair.a, (rank, inputs))
        change = _change(pair, scale)
        matrices[f"{begin}_B.weight"] = Matrix(pair.b, (outputs, rank), change)
    write(out / WEIGHTS, matrices)
    _write_config(out / CONFIG, rank, scale, _targets(pairs, layout))
    _copy_card(found.folder, out)
    manifest = AdoptedManifest(
        name=name,
        base=AdapterBase(name=layout.name, fingerprint=layout.fingerprint),
        adopted=Adoption(
            source=shown(source, 300),
            digest=digest.of_json(
                {file: digest.of_file(found.folder / file) for file in found.files if file != README}
            ),
            layout=found.layout,
            trainer=found.trainer,
            claimed_base=told.claimed_base,
            known_base=layout.is_known_as(told.claimed_base),
        ),
        files={
            file: FileEntry(sha256=digest.of_file(out / file), size=(out / file).stat().st_size)
            for file in (CONFIG, WEIGHTS)
        },
    )
    (out / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return manifest


def _settings(found: Found, layout: BaseLayout) -> Settings:
    if found.layout == "mistral-finetune":
        params = found.folder / mistral.PARAMS
        return mistral.read(_small(params) if params.is_file() else None, layout)
    config = _small(found.folder / CONFIG)
    return mlx.read(config, layout.layers) if found.layout == "mlx" else settings.read(config)


def _small(path: Path) -> bytes:
    if (size := path.stat().st_size) > 2**20:
        raise UserError(f"{path.name} has {size} bytes, where at most {2**20} go; write it with PEFT again.")
    return path.read_bytes()


def _pairs(found: Found, told: Settings, layout: BaseLayout) -> list[Pair]:
    """Every module's matrices, in the base's order."""
    file = {"mistral-finetune": mistral.WEIGHTS, "mlx": mlx.WEIGHTS}.get(found.layout, WEIGHTS)
    path = found.folder / file
    sides: dict[str, dict[str, Source]] = {}
    tensors = header.read(path)
    if tensors and not any(names.of_adapter(name) for name in tensors):
        raise UserError(
            f"{file} holds no adapter but weights of a whole model, such as {shown(min(tensors), 200)}; "
            "push the adapter from before the merge, or retrain with LoRA."
        )
    parsed = {name: names.parse(name) for name in tensors}
    prefixes, adapters = {one.prefix for one in parsed.values()}, {one.adapter for one in parsed.values()}
    if len(adapters) > 1:
        which = ", ".join(sorted(one or "(without a name)" for one in adapters))
        raise UserError(f"{file} holds the adapters {which}; save one of them alone.")
    for name, one in parsed.items():
        if one.transposed != (found.layout == "mlx"):
            raise UserError(
                f"Tensor {shown(name, 200)} is named in another way than {file} is; save it again."
            )
        where = mistral.PATHS.get(one.path, one.path) if found.layout == "mistral-finetune" else one.path
        module = layout.modules_at.get((one.layer, where))
        if module is None:
            raise UserError(_not_here(name, one.layer, where, layout, told.claimed_base))
        if one.side in sides.setdefault(module, {}):
            raise UserError(f"Tensor {shown(name, 200)} is there twice under two names; save it again.")
        sides[module][one.side] = Source(path, name, tensors[name], one.transposed)
    if not sides:
        raise UserError(f"{file} holds no tensors; save the adapter once it is trained.")
    if len(prefixes) > 1:
        which = ", ".join(repr(one) for one in sorted(prefixes))
        raise UserError(f"{file} names layers by {which}; save the text model's adapter alone.")
    (prefix,) = prefixes
    _check_complete(set(sides), told, layout, prefix)
    return [
        _pair(module, sides[module], found, told, layout, prefix)
        for module in layout.places
        if module in sides
    ]


def _pair(
    module: str, sides: dict[str, Source], found: Found, told: Settings, layout: BaseLayout, prefix: str
) -> Pair:
    if absent := {"A", "B"} - sides.keys():
        (there,) = sides.values()
        raise UserError(
            f"Tensor {there.name} has no lora_{absent.pop()} beside it; save the whole adapter again."
        )
    inputs, outputs = layout.modules[module]
    original = f"{prefix}layers.{layout.places[module][0]}.{layout.places[module][1]}"
    rank = told.rank_of(original)
    for source, shape in ((sides["A"], (rank, inputs)), (sides["B"], (outputs, rank))):
        if source.shape != shape:
            claimed = f" (it claims {told.claimed_base!r})" if told.claimed_base else ""
            raise UserError(
                f"Tensor {source.name} has shape {list(source.shape)}, where rank and base {layout.name!r}"
                f" ask for {list(shape)}: it was trained on another model{claimed} or with another rank than"
                " its config says; retrain on this base, or start a server with the other."
            )
    heads = None
    if found.layout == "mistral-finetune":
        heads = mistral.heads_of(layout.places[module][1], layout)
        if heads and outputs % (2 * heads):
            raise UserError(f"{module} has {outputs} outputs, which {heads} heads do not share evenly.")
    return Pair(module, sides["A"], sides["B"], told.scale_of(original), heads)


def _check_complete(there: set[str], told: Settings, layout: BaseLayout, prefix: str) -> None:
    """UserError unless the matrices are those of all modules that the config means, and of no others."""
    places = layout.places
    original = {f"{prefix}layers.{layer}.{path}": module for module, (layer, path) in places.items()}
    if told.targets is None:
        paths = {places[module][1] for module in there}
        targets = {module for module, (_, path) in places.items() if path in paths}
    else:
        targets = {original[name] for name in meant(told.targets, original)}
    targets -= {original[name] for name in meant(told.excluded, original)}
    if told.layers is not None:
        targets = {module for module in targets if places[module][0] in told.layers}
    if odd := sorted(there - targets):
        raise UserError(
            f"There are matrices of {odd[0]}, which the adapter's own target_modules and exclusions do "
            "not mean, so PEFT would leave them out; save the adapter with PEFT's save_pretrained."
        )
    if absent := sorted(targets - there):
        raise UserError(
            f"{len(absent)} of {len(targets)} modules have no matrices, the first is {absent[0]}; save "
            "the whole adapter, or name the layers that were trained in layers_to_transform."
        )


def _not_here(name: str, layer: int, path: str, layout: BaseLayout, claimed: str | None) -> str:
    claims = f" (it claims {claimed!r})" if claimed else ""
    if layer >= layout.layers:
        return (
            f"Tensor {shown(name, 200)} is of layer {layer}, and base {layout.name!r} has {layout.layers}: it"
            f" was trained on another model{claims}; retrain on this base, or start a server with the other."
        )
    known = ", ".join(sorted({one.rpartition(".")[2] for one in layout.modules}))
    return (
        f"Tensor {shown(name, 200)} changes {shown(path)}, which base {layout.name!r} does not have{claims};"
        f" it has {known}."
    )


@dataclass(frozen=True)
class Change:
    """What is done to the values of a B: its rows in another order, and times `factor`."""

    heads: int | None
    factor: float

    def __call__(self, values: Values) -> Values:
        ordered = mistral.turned(values, self.heads) if self.heads else values
        scaled: Values = ordered * self.factor if self.factor != 1 else ordered
        return scaled


def _change(pair: Pair, scale: float) -> Change | None:
    factor = pair.scale / scale
    return Change(pair.heads, factor) if pair.heads or factor != 1 else None


def _targets(pairs: list[Pair], layout: BaseLayout) -> list[str]:
    """The shortest names that mean these modules and no others."""
    there, short = {pair.module for pair in pairs}, set[str]()
    for kind in {module.rpartition(".")[2] for module in there}:
        all_of_it = {module for module in layout.modules if module.rpartition(".")[2] == kind}
        short |= {kind} if all_of_it <= there else all_of_it & there
    return sorted(short)


def _write_config(path: Path, rank: int, scale: float, targets: list[str]) -> None:
    alpha = round(scale * rank, 9)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": int(alpha) if alpha == int(alpha) else alpha,
        "target_modules": targets,
        "bias": "none",
        "inference_mode": True,
    }
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _copy_card(folder: Path, out: Path) -> None:
    card = folder / README
    if card.is_file() and card.stat().st_size <= README_BYTES:
        (out / README).write_bytes(card.read_bytes())
