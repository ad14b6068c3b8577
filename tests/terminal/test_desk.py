from pathlib import Path

from bench.desk import Desk


def test_a_transcript_names_no_place_of_this_machine(tmp_path: Path) -> None:
    """Not where the terminal broke it in two either."""
    desk = Desk(tmp_path / "enxerto", tmp_path / "home", Path("bin"))
    key = str(tmp_path / "home" / "key")
    told = desk._told([f"cat {key[:12]}", f"{key[12:]}; ls {tmp_path / 'enxerto' / 'runs'}"])
    assert told == ["cat ~/.cache/enxerto/key; ls ./runs"]
