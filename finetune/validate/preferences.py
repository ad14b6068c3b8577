"""Examine a preference: what it holds, the rules, secrets, and the tokens of its two rows."""

from data.chat import Conversation
from data.preference import Preference, problems
from finetune.intake import UNSOUND, first_error
from finetune.pair import token_pair
from finetune.render import Renderer
from finetune.validate.chunk import Examined, Settings
from finetune.validate.conversations import count
from finetune.validate.leaks import note_secrets, numbered


def examine(
    preference: Preference, where: str, renderer: Renderer | None, settings: Settings, result: Examined
) -> bool:
    """Count a preference into `result`, as its chosen answer has it, with everything that is wrong with it.

    Tokens are those of two rows, as in an adapter's manifest: the prompt counts once for each answer. False
    where training skips it as a bad record: then it counts as nothing else.
    """
    found = problems(preference)
    for problem in found:
        result.note(problem.kind, f"{where}: {problem.where}", problem.message)
    if settings.skip and first_error(found):
        result.tally.dropped[UNSOUND] += 1
        return False
    pair = result.rendered(lambda: token_pair(preference, renderer), where) if renderer else None
    if renderer is not None and pair is None and settings.skip:
        return False
    tally = result.tally
    count(preference.answered(preference.chosen), tally)
    tally.targets += 1
    answers = [("chosen", preference.chosen), ("rejected", preference.rejected)]
    note_secrets([*numbered(preference.prompt), *answers], preference.tools, where, result)
    if renderer is None:
        tally.rows += 1
    elif pair is not None and settings.max_length and pair.longest > settings.max_length:
        result.too_long(pair.longest, settings.max_length, where)
    elif pair is not None:
        tally.rows += 1
        tally.tokens += pair.tokens
        tally.learnt_tokens += pair.learnt
    return True


def whole(preference: Preference) -> Conversation:
    """Prompt and both answers: what two preferences share when they are the same."""
    messages = [*preference.prompt, preference.chosen, preference.rejected]
    return Conversation(messages=messages, tools=preference.tools)
