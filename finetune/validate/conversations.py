"""Examine a conversation: what it holds, the rules, secrets, and the tokens of its rows."""

from data import rules
from data.chat import AssistantMessage, Conversation
from finetune.render import Renderer, targets
from finetune.validate.chunk import Examined, Settings
from finetune.validate.leaks import note_secrets, numbered
from finetune.validate.tally import Category, Tally


def examine(
    conversation: Conversation, where: str, renderer: Renderer | None, settings: Settings, result: Examined
) -> None:
    """Count a conversation into `result`, with everything that is wrong with it."""
    tally, learnt = result.tally, len(targets(conversation, settings.learn))
    count(conversation, tally)
    tally.targets += learnt
    if not learnt:
        tally.dropped["no assistant message to learn"] += 1
    for problem in rules.problems(conversation):
        result.note(problem.kind, f"{where}: {problem.where}", problem.message)
    note_secrets(numbered(conversation.messages), conversation.tools, where, result)
    if renderer is None:
        tally.rows += bool(learnt)
        return
    samples = result.rendered(lambda: renderer.samples(conversation, settings.learn), where)
    limit = settings.max_length
    for sample in samples or ():
        length, mask = len(sample.input_ids), sample.completion_mask
        if limit and length > limit:
            if settings.too_long == "drop" or not any(mask[:limit]):
                result.too_long(length, limit, where)
                continue
            tally.cut += 1
            length, mask = limit, mask[:limit]
        tally.rows += 1
        tally.tokens += length
        tally.learnt_tokens += sum(mask)


def count(conversation: Conversation, tally: Tally) -> None:
    """What a conversation holds, whatever is learnt of it."""
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
