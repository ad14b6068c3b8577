"""Examine a preference: what it holds, the rules, secrets, and the tokens of its two rows."""

from data.chat import Conversation
from data.preference import Preference, problems
from finetune.pair import token_pair
from finetune.render import Renderer
from finetune.validate.chunk import Examined, Settings
from finetune.validate.conversations import count
from finetune.validate.leaks import note_secrets, numbered


def examine(
    preference: Preference, where: str, renderer: Renderer | None, settings: Settings, result: Examined
) -> None:
    """Count a preference into `result`, as its chosen answer has it, with everything that is wrong with it.

    Tokens are those of two rows, as in an adapter's manifest: the prompt counts once for each answer.
    """
    tally = result.tally
    count(preference.answered(preference.chosen), tally)
    tally.targets += 1
    for problem in problems(preference):
        result.note(problem.kind, f"{where}: {problem.where}", problem.message)
    answers = [("chosen", preference.chosen), ("rejected", preference.rejected)]
    note_secrets([*numbered(preference.prompt), *answers], preference.tools, where, result)
    if renderer is None:
        tally.rows += 1
        return
    pair = result.rendered(lambda: token_pair(preference, renderer), where)
    if pair is None:
        return
    if settings.max_length and pair.longest > settings.max_length:
        result.too_long(pair.longest, settings.max_length, where)
        return
    tally.rows += 1
    tally.tokens += pair.tokens
    tally.learnt_tokens += pair.learnt


def whole(preference: Preference) -> Conversation:
    """Prompt and both answers: what two preferences share when they are the same."""
    messages = [*preference.prompt, preference.chosen, preference.rejected]
    return Conversation(messages=messages, tools=preference.tools)
