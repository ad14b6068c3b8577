"""Splits: whole groups, stable under new data, and never the same conversation on both sides."""

from data.chat import Conversation
from data.splits import Split, keys_of


def chat(words: str, **labels: str) -> Conversation:
    return Conversation.model_validate({"messages": [{"role": "user", "content": words}], **labels})


def sides(conversations: list[Conversation], share: float = 0.3, seed: int = 0) -> list[bool]:
    split = Split(share, seed)
    groups = [split.add(keys_of(conversation)) for conversation in conversations]
    return [split.held_out(group) for group in groups]


def test_the_share_is_kept() -> None:
    held = sum(sides([chat(str(number)) for number in range(4000)], 0.05))
    assert 150 < held < 250  # 200 expected, 14 standard deviation


def test_conversations_of_one_id_or_group_stay_together() -> None:
    for label in ("id", "group"):
        found = sides([chat(f"{number}", **{label: str(number % 50)}) for number in range(500)])
        assert found == found[:50] * 10
        assert True in found and False in found
    assert sides([chat("a", id=str(number), group="one") for number in range(50)], 0.5) in (
        [True] * 50,
        [False] * 50,
    )


def test_group_counts_before_id() -> None:
    found = sides([chat(f"{number}", id="same", group=str(number)) for number in range(100)])
    assert True in found and False in found


def test_equal_conversations_stand_on_one_side_whatever_they_are_called() -> None:
    rows = [chat(str(number % 100), id=f"{number}") for number in range(300)]
    found = sides(rows)
    assert found == found[:100] * 3
    assert True in found[:100] and False in found[:100]


def test_ties_between_groups_pass_on() -> None:
    for number in range(40):  # a and b share a conversation, and so do b and c
        a, b, c = (f"{number}{name}" for name in "abc")
        rows = [
            chat(a, id=a),
            chat("1" + a, id=a),
            chat("1" + a, id=b),
            chat("2" + a, id=b),
            chat("2" + a, id=c),
        ]
        assert len(set(sides(rows, 0.5))) == 1


def test_new_data_moves_no_old_conversation() -> None:
    old = [chat(str(number), id=str(number // 2)) for number in range(200)]
    new = [chat(f"new {number}", id=f"new {number // 2}") for number in range(300)]
    assert sides(new + old)[300:] == sides(old) == sides(old + new)[:200]


def test_the_order_of_the_data_does_not_matter() -> None:
    rows = [chat(str(number % 30), id=str(number)) for number in range(60)]
    assert sides(rows[::-1])[::-1] == sides(rows)


def test_the_seed_decides() -> None:
    rows = [chat(str(number)) for number in range(100)]
    assert sides(rows, seed=1) != sides(rows, seed=2)
