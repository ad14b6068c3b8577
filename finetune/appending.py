"""Chat templates that only append: recognised in their source, they need one run for all prefixes.

A trainer needs the text of many prefixes of a conversation, two for each answer. Of most templates the
text of `messages[:n]` is that of `messages` up to where message n starts, and then what asks for an answer.
`marked` proves that from the template's syntax tree, or says that it cannot.
"""

from collections.abc import Collection, Iterator

from jinja2 import nodes

MARK = "mark_message"
"""What a marked template writes where each message starts, and behind the last one."""

_BACKWARD = {"first", "index", "index0", "previtem"}
"""What a loop can say of itself that later messages do not change."""


def marked(tree: nodes.Template, tokens: Collection[str]) -> nodes.Template | None:
    """`tree`, changed to write `MARK`; None where a prefix's text might differ from the whole text's start.

    It appends for sure when all of this holds, `tokens` being the names of constants:
    - one loop over the messages (all of them, or all from a fixed one on) stands at the top level, has no
      filter, and never breaks off or looks ahead (`loop.last`, `loop.nextitem`);
    - nowhere else stands a message but the first, which every prefix has;
    - whether an answer is asked for is only looked at behind the loop, where nothing else is read.
    """
    lists = _lists(tree)
    loops = [node for node in tree.body if isinstance(node, nodes.For) and _is_list(node.iter, lists)]
    if len(loops) != 1:
        return None
    loop = loops[0]
    place = tree.body.index(loop)
    behind = tree.body[place + 1 :]
    asks = "add_generation_prompt"
    given = {asks, *tokens}
    sound = (
        not (loop.recursive or loop.test or loop.else_ or _any(loop, nodes.Break))
        and not any(node.ctx != "load" for name in given for node in _named(tree, name))
        and all(_read(node) <= given for node in behind)
        and not any(_named(node, asks) for node in tree.body[: place + 1])
        and _count(tree, lists) == _harmless(tree, loop, lists)
        and all(_looks_back(node) for node in loop.body)
    )
    if not sound:
        return None
    loop.body.insert(0, _mark())
    tree.body.insert(place + 1, _mark())
    return tree


def _mark() -> nodes.Node:
    return nodes.Output([nodes.Name(MARK, "load")]).set_lineno(1)


def _lists(tree: nodes.Template) -> set[str]:
    """`messages`, and the names that are never set to anything but it or its rest."""
    lists = {"messages"}
    while True:
        more = {
            node.target.name
            for node in tree.find_all(nodes.Assign)
            if isinstance(node.target, nodes.Name) and _is_list(node.node, lists)
        }
        if more <= lists:
            return lists
        lists |= more


def _is_list(node: nodes.Node, lists: set[str]) -> bool:
    """Whether it is a list of messages, or its rest: `rest[2:]`."""
    if isinstance(node, nodes.Getitem):
        return _is_rest(node.arg) and _is_list(node.node, lists)
    return isinstance(node, nodes.Name) and node.name in lists


def _is_rest(node: nodes.Node) -> bool:
    if not isinstance(node, nodes.Slice) or node.stop is not None or node.step is not None:
        return False
    start = node.start.value if isinstance(node.start, nodes.Const) else None
    return isinstance(start, int) and start >= 0


def _count(tree: nodes.Template, lists: set[str]) -> int:
    """How often a list of messages is named."""
    return sum(len(_named(tree, name)) for name in lists)


def _harmless(tree: nodes.Template, loop: nodes.For, lists: set[str]) -> int:
    """How many of those namings are the loop's own, give a list another name, or take the first message."""
    count = 1
    inside = {id(node) for node in loop.find_all(nodes.Assign)}
    for assign in tree.find_all(nodes.Assign):
        if (
            _is_list(assign.node, lists)
            and isinstance(assign.target, nodes.Name)
            and id(assign) not in inside
        ):
            count += 2 if assign.target.name != "messages" else 0
    for item in tree.find_all(nodes.Getitem):
        named = isinstance(item.node, nodes.Name) and item.node.name == "messages"
        count += named and isinstance(item.arg, nodes.Const) and item.arg.value == 0
    return count


def _looks_back(node: nodes.Node, inner: bool = False) -> bool:
    """Whether `loop`, where it means the loop over messages, only says what earlier messages decide."""
    if isinstance(node, nodes.Getattr) and _is_loop(node.node):
        return inner or node.attr in _BACKWARD
    if _is_loop(node):
        return inner
    if isinstance(node, nodes.For):
        heads, bodies = [node.iter, *filter(None, [node.test])], [*node.body, *node.else_]
        return all(_looks_back(one, inner) for one in heads) and all(_looks_back(one, True) for one in bodies)
    return all(_looks_back(child, inner) for child in node.iter_child_nodes())


def _is_loop(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == "loop"


def _read(node: nodes.Node) -> set[str]:
    return {name.name for name in _all(node, nodes.Name)}


def _named(node: nodes.Node, name: str) -> list[nodes.Name]:
    return [one for one in _all(node, nodes.Name) if one.name == name]


def _any(node: nodes.Node, kind: type[nodes.Node]) -> bool:
    return next(node.find_all(kind), None) is not None


def _all(node: nodes.Node, kind: type[nodes.Name]) -> Iterator[nodes.Name]:
    """The node itself too, which jinja's `find_all` leaves out."""
    if isinstance(node, kind):
        yield node
    yield from node.find_all(kind)
