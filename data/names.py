"""Names that an adapter may not have, because people and programs mean something else by them."""

BASE = "base"
"""What commands call the server's base, whatever its name is."""

_TAKEN = {
    BASE: "means the base wherever a model is named",
    "default": "is the alias that a bare name means",
    "latest": "means whatever is newest, as a tag does, and would not move",
    "none": "means that there is none",
    "null": "means that there is none",
    "all": "means every one",
    "auto": "leaves the choice to a program",
}


def unfit(name: str) -> str | None:
    """Why a new adapter may not be called `name`; None where it may. Those of old keep their names."""
    why = _TAKEN.get(name)
    if why is None and name.isdecimal():
        why = "is a number, which reads as a version's"
    return f"{name[:100]!r} is no name for an adapter: it {why}; push it under another." if why else None
