"""Rows of tokens on disk: made once for the same data, renderer and settings, mapped into memory afterwards.

They lie under `$ENXERTO_HOME/cache/rows/<digest>`, readable for their owner only: they are the training data.
"""

import os
import shutil
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from data import digest
from data.errors import UserError
from data.formats.places import files
from data.home import home
from data.manifest import BaseManifest, DatasetEntry
from finetune.base.identity import describe
from finetune.dataset import Row, prepare
from finetune.intake import SKIPPED, Intake
from finetune.preferences import Pair, prepare_pairs
from finetune.recipe import Recipe
from finetune.render import open_renderer
from finetune.staging import staging
from finetune.training.collate import IGNORED

_VERSION = 2
"""Raised when the tables' columns, or the way rows are made, change."""

_KEPT = 16
"""So many of the last used rows stay in the cache."""

ENTRY, TRAIN, HELDOUT = "entry.json", "train", "heldout"


@dataclass(frozen=True)
class Rows:
    """`train` and `heldout` are Arrow tables with `input_ids`, `labels` (-100 where nothing is learnt) and
    `where`; for pairs also `rejected_ids` and `rejected_labels`. `heldout` is None without that side, and
    `skipped` lists the records that were left out as bad, where there are any."""

    train: Any
    heldout: Any | None
    entry: DatasetEntry
    skipped: Path | None = None

    @property
    def longest(self) -> int:
        """Tokens of the longest training example, both answers of a pair together; no row is decoded."""
        import pyarrow.compute as pc

        names = [name for name in ("input_ids", "rejected_ids") if name in self.train.column_names]
        lengths = [pc.list_value_length(self.train.data.column(name)) for name in names]
        return int(pc.max(reduce(pc.add, lengths)).as_py())


def make(recipe: Recipe, base_folder: Path, base: BaseManifest, own: Path) -> Path:
    """The folder of `recipe`'s rows; written if it is not there. UserError for what cannot be learnt.

    Rows of a hub's data set go to `own`: what its name leads to may change at any time. The base's files are
    read once more: weights that changed since they were described give an adapter that fits nothing.
    """
    _unchanged(base_folder, base)
    cache = home() / "cache" / "rows"
    hub = any(source.path.startswith("hf:") for source in recipe.data.train)
    folder = own if hub else cache / _key(recipe, base).removeprefix("sha256:")
    if not (folder / ENTRY).is_file():
        with staging(folder) as stage:
            _write(recipe, base_folder, stage)
        folder.chmod(0o700)
    os.utime(folder)
    for old in sorted(cache.glob("[!.]*"), key=lambda path: path.stat().st_mtime)[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def load(folder: Path) -> Rows:
    from datasets import load_from_disk

    entry = DatasetEntry.model_validate_json((folder / ENTRY).read_bytes())
    heldout = load_from_disk(str(folder / HELDOUT)) if (folder / HELDOUT).is_dir() else None
    skipped = folder / SKIPPED if (folder / SKIPPED).is_file() else None
    return Rows(load_from_disk(str(folder / TRAIN)), heldout, entry, skipped)


def _write(recipe: Recipe, base_folder: Path, stage: Path) -> None:
    from datasets import Dataset

    data, renderer = recipe.data, open_renderer(base_folder)
    shared: dict[str, Any] = {
        "mix_seed": data.mix_seed,
        "heldout": data.heldout,
        "split_seed": data.split_seed,
        "ignore": frozenset(data.ignore),
        "intake": Intake(data.on_error),
        "most_dropped": data.limits.dropped,
    }
    made = (
        prepare_pairs(data.train, renderer, data.max_length, **shared)
        if recipe.method == "dpo"
        else prepare(
            data.train, renderer, data.max_length, learn=data.learn, too_long=data.too_long, **shared
        )
    )
    for name, rows in ((TRAIN, made.rows), (HELDOUT, made.heldout)):
        if rows:
            Dataset.from_list([columns(row) for row in rows]).save_to_disk(str(stage / name))
    made.intake.write(stage)
    (stage / ENTRY).write_text(made.entry.model_dump_json(), encoding="utf-8")


def columns(row: Row | Pair) -> dict[str, Any]:
    """One row of a table."""
    if isinstance(row, Row):
        pairs = zip(row.input_ids, row.completion_mask, strict=True)
        labels = [token if learnt else IGNORED for token, learnt in pairs]
        return {"input_ids": row.input_ids, "labels": labels, "where": row.where}
    hidden = [IGNORED] * len(row.prompt)
    return {
        "input_ids": row.prompt + row.chosen,
        "labels": hidden + row.chosen,
        "rejected_ids": row.prompt + row.rejected,
        "rejected_labels": hidden + row.rejected,
        "where": row.where,
    }


def _key(recipe: Recipe, base: BaseManifest) -> str:
    """What the rows depend on: content, not names and times of files."""
    data = recipe.data.model_dump(
        mode="json", exclude={"heldout_files": True, "limits": {"similarity", "duplicates", "overlap"}}
    )
    return digest.of_json(
        {
            "version": _VERSION,
            "method": recipe.method,
            "data": data,
            "content": [[digest.of_file(file) for file in files(source.at)] for source in recipe.data.train],
            "renderer": base.identity.renderer.model_dump(mode="json"),
            "tokenizer": base.identity.tokenizer,
        }
    )


def _unchanged(folder: Path, base: BaseManifest) -> None:
    found = describe(folder, base.name, base.source, base.quality)
    if found.fingerprint != base.fingerprint:
        changed = [name for name, value in found.identity if value != getattr(base.identity, name)]
        raise UserError(
            f"base {base.name} has changed since it was made ({', '.join(changed)} differ): it is"
            f" {found.fingerprint[:19]} and was {base.fingerprint[:19]}; remove {folder} and run"
            f" `make base BASE={base.name}`."
        )
