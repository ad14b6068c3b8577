"""Bytes made up at random at the socket: the same 400 streams in every run, and 20 000 in `make fuzz`."""

from pathlib import Path

from tests.adversarial.streams import World, fuzz

EXAMPLES = 400


def test_no_stream_of_bytes_does_harm(tmp_path: Path) -> None:
    with World.made(tmp_path) as world:
        tally = fuzz(world, EXAMPLES, seed=0)
    assert tally.streams >= EXAMPLES * 0.9
    assert {"200", "400", "401", "404", "closed"} <= set(tally.answers), tally.answers
