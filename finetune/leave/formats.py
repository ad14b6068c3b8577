"""The formats of `finetune export`."""

from difflib import get_close_matches

from data.errors import UserError

FORMATS = {
    "merged": "a float16 model of its own",
    "gguf-lora": "llama.cpp's LoRA file",
    "hub": "a repository folder with a card",
}


def known(to: str) -> str:
    """Return the format's name; UserError with those that there are."""
    if to not in FORMATS:
        near = get_close_matches(to.lower(), FORMATS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        listed = ", ".join(f"{name} ({what})" for name, what in FORMATS.items())
        raise UserError(f"--to {to} is no format; {hint}there are {listed}.")
    return to
