"""Examine a conversation: what it holds, the rules, secrets, and the tokens of its rows."""

from data import rules
from data.chat import AssistantMessage, Conversation
from finetune.intake import UNSOUND, first_error
from finetune.render import Renderer, Sample, targets
from finetune.too_long import LOST, answers, fitted, shortened
from finetune.validate.chunk import Examined, Settings
from finetune.validate.leaks import note_secrets, numbered
from finetune.validate.tally import Category, Tally


def examine(
    conversation: Conversation, where: str, renderer: Renderer | None, settings: Settings, result: Examined
) -> bool:
    """Count a conversation into `result`, with everything that is wrong with it.

    False where training skips it as a bad record: then it counts as nothing else.
    """
    found = rules.problems(conversation)
    for problem in found:
        result.note(problem.kind, f"{where}: {problem.where}", problem.message)
    if settings.skip and first_error(found):
        result.tally.dropped[UNSOUND] += 1
        return False
    samples: list[Sample] | None = []
    if renderer is not None:
        samples = result.rendered(lambda: renderer.samples(conversation, settings.learn), where)
        if samples is None and settings.skip:
            return False
    tally, learned = result.tally, len(targets(conversation, settings.learn))
    count(conversation, tally)
    tally.targets += learned
    if not learned:
        tally.dropped["no assistant message to learn"] += 1
    note_secrets(numbered(conversation.messages), conversation.tools, where, result)
    if renderer is None:
        tally.rows += bool(learned)
    for sample in samples or ():
        _row(sample, where, settings, result)
    return True


def _row(sample: Sample, where: str, settings: Settings, result: Examined) -> None:
    """Count a row as training learns it."""
    tally, length = result.tally, len(sample.input_ids)
    kept = fitted(sample, settings.max_length, settings.too_long)
    if kept is None:
        result.too_long(length, settings.max_length or 0, where)
        return
    if kept is not sample:
        lost = len(answers(sample)) - len(answers(kept))
        tally.cut[shortened(settings.max_length or 0)] += 1
        tally.cut[LOST] += lost
        tally.targets -= lost
        tally.longest = max(tally.longest, length)
    tally.rows += 1
    tally.tokens += len(kept.input_ids)
    tally.learnt_tokens += sum(kept.completion_mask)


def count(conversation: Conversation, tally: Tally) -> None:
    """What a conversation holds, whatever is learned of it."""
    tally.conversations += 1
    tally.with_tools += bool(conversation.tools)
    tally.tools.update(tool.function.name for tool in conversation.tools)
    tally.categories[category(conversation)] += 1


def category(conversation: Conversation) -> Category:
    """By its calls: none, one (single), several in one message (parallel), or in several messages."""
    answers = (message for message in conversation.messages if isinstance(message, AssistantMessage))
    calls = [len(message.tool_calls) for message in answers if message.tool_calls]
    if not calls:
        return "none"
    if max(calls) > 1:
        return "parallel"
    return "single" if len(calls) == 1 else "multi_turn"
