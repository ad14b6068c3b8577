"""How large a regular expression is once its repetitions are written out, as a grammar has to."""

import re

MAX_CHARACTERS = 512
MAX_REPEATS = 255
"""The highest number in `{m,n}`: many a name may have 255 characters."""

MAX_EXPANDED = 512
"""Characters and classes, each as often as its repetitions say; repetitions of repetitions multiply."""

MAX_NESTED = 80
"""The same within a repetition of repetitions, where the ways to read a text multiply."""

TOKEN = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\{(\d*)(,?)(\d*)\}|.", re.DOTALL)
"""One thing of a pattern; the groups are of a repetition."""

_UNICODE = re.compile(r"(?<!\\)(?:\\\\)*\\[pP]")
"""Classes of Unicode: thousands of ranges in a few characters."""


def too_large(pattern: str) -> str | None:
    """What about it is too large, to follow the words "a pattern"; None if nothing is."""
    if len(pattern) > MAX_CHARACTERS:
        return f"of {len(pattern)} characters, where at most {MAX_CHARACTERS} go"
    if _UNICODE.search(pattern):
        return "with a class of Unicode, which is thousands of ranges"
    found = _measured(pattern)
    if isinstance(found, str):
        return found
    if found > MAX_EXPANDED:
        return f"of {found} characters with its repetitions, where at most {MAX_EXPANDED} go"
    return None


def size(pattern: str) -> int:
    """Characters and classes of a pattern that is not too large, each as often as its repetitions say."""
    found = _measured(pattern)
    assert isinstance(found, int)
    return found


def _measured(pattern: str) -> int | str:
    """The size, or what about the repetitions is too large."""
    sizes, last = [0], 0  # of the groups that are open, and of what a repetition would repeat
    repeating, varied = [False], False  # whether these hold repetitions themselves
    for token in TOKEN.finditer(pattern):
        text = token.group()
        if text == "(":
            sizes.append(0)
            repeating.append(False)
        elif text == ")" and len(sizes) > 1:
            last, varied = sizes.pop(), repeating.pop()
            sizes[-1] += last
            repeating[-1] |= varied
        elif token.group(2) is not None:
            times = max(int(token.group(1) or 0), int(token.group(3) or 0), 1)
            if times > MAX_REPEATS:
                return f"that repeats {times} times, where at most {MAX_REPEATS} go"
            if varied and last * times > MAX_NESTED:
                return f"that repeats repetitions to {last * times} characters, where at most {MAX_NESTED} go"
            sizes[-1] += last * (times - 1)
            last, varied, repeating[-1] = last * times, True, True
        elif text in "*+?":
            varied = repeating[-1] = True
        elif text not in "|^$":
            last, varied = 1, False
            sizes[-1] += 1
    return sum(sizes)
