"""The training report, as text and as a browser shows it."""

import html
import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from data.errors import UserError
from finetune.training_report import page
from finetune.training_report.page import Generation
from tests.finetune.eval.test_html import browse, browser
from tests.finetune.training_report.run import EVIL, adapter, evaluation, manifest, step

TALK = Generation("What is 2 + 2?", "I cannot say.", "4", "4")
RUN = [
    *(step(number) for number in range(1, 61)),
    evaluation(20, 1.5),
    evaluation(40, 1.1),
    evaluation(60, 1.3),
]


class Read(HTMLParser):
    """The page's tags, its SVG titles and descriptions, and all of its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.text += " "

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def plots(self) -> list[str]:
        return [value for name, value in self.attributes if name == "class" and value and "plot " in value]


def words(text: str) -> str:
    return " ".join(Read(text).text.split())


def shown(path: Path, *flags: str) -> CompletedProcess[str]:
    return browse(*flags, "--dump-dom", path.resolve().as_uri())


PROBE = """<!doctype html>
<iframe src="report.html" style="width: 390px; height: 844px; border: 0"></iframe>
<script>
onload = () => {
  const page = frames[0].document, box = (one) => one.getBoundingClientRect();
  const wide = [...page.querySelectorAll("body *")].filter((one) => box(one).right > 390.5);
  const plots = [...page.querySelectorAll(".area")].map((one) => Math.round(box(one).width));
  const width = page.documentElement.scrollWidth;
  document.title = JSON.stringify({width, plots, wide: wide.map((one) => one.className || one.tagName)});
};
</script>"""


@browser
def test_on_a_phone_nothing_is_wider_than_the_screen_and_the_console_stays_silent(tmp_path: Path) -> None:
    long = Generation("word " * 200 + "x" * 300, "y" * 300, '{"a": "' + "z" * 300 + '"}', "")
    folder = adapter(tmp_path / "adapter", RUN, steps=60, seconds=90.0, resumed_at=[30], device="cpu")
    page.write(folder, [TALK, long])
    (folder / "probe.html").write_text(PROBE)
    done = shown(folder / "probe.html", "--window-size=600,900", "--allow-file-access-from-files")
    found = re.search(r"<title>(.*?)</title>", done.stdout)
    assert found is not None
    seen = json.loads(html.unescape(found[1]))
    assert seen["width"] == 390 and seen["wide"] == []
    assert len(seen["plots"]) == 5 and all(280 < width < 390 for width in seen["plots"])
    assert "CONSOLE" not in done.stderr


@browser
def test_the_console_is_really_listened_to(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "adapter", RUN)
    text = page.write(folder, []).read_text()
    (folder / "report.html").write_text(text.replace("<main>", '<main><img src="https://example.org/x.png">'))
    assert "Content Security Policy" in shown(folder / "report.html").stderr


def test_nothing_that_was_said_becomes_markup_and_no_script_runs() -> None:
    spoilt = manifest(EVIL, device=EVIL, wandb_run=EVIL, stopped=EVIL, steps=3, planned_steps=9)
    evil = spoilt.model_copy(
        update={
            "recipe": {EVIL: [EVIL]},
            "code": {EVIL: EVIL},
            "dataset": spoilt.dataset.model_copy(
                update={
                    "dropped": {EVIL: 1},
                    "sources": [spoilt.dataset.sources[0].model_copy(update={"path": EVIL, "format": EVIL})],
                }
            ),
        }
    )
    text = page.render(evil, [*RUN, {"step": 3, "loss": EVIL}], [Generation(EVIL, EVIL, EVIL, EVIL)])
    read = Read(text)
    assert not {"script", "img", "iframe"} & set(read.tags)
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert read.text.count(EVIL) >= 12


def test_the_page_needs_nothing_but_itself() -> None:
    text = page.render(manifest(), RUN, [TALK])
    assert re.findall(r'(?:src|href)="(?!data:)[^"]*"|@import|url\(', text) == []


def test_key_numbers_and_evidence_are_there() -> None:
    run = manifest(
        steps=60, planned_steps=80, stopped="early stop", seconds=3725.0, best_step=40, resumed_at=[30, 50],
        wandb_run="run-7", weights="dense bfloat16", device="cpu", processes=2,
    )  # fmt: skip
    text = words(page.render(run, RUN, [TALK]))
    for expected in (
        "steps 60 early stop, of 80 planned",
        "time 1 h 02 min on cpu, 2 processes",
        "speed 641 tokens/s",
        "peak memory 2.1 GB",
        "learnt tokens 9,000 of 60,000 trained on",
        "best held-out loss 1.100 at step 40, perplexity 3.00",
        "final held-out loss 1.300 at step 60, perplexity 3.67",
        "checkpoint at step 30, 50",
        "hf:owner/two hermes 0.5 300 10 145",
        "500,000, of which 60,000 are learnt (12%)",
        "7 longer than 512 tokens",
        "72 conversations in 70 groups, a share of 5% with seed 4",
        "after word for word what the data has 4",
        "dense bfloat16",
        "run-7",
        "enxerto 0.1.0, torch 2.13.0",
        "name: support lora: r: 16 targets: - q_proj",
        *("sha256:" + letter * 64 for letter in "bcdef"),
    ):
        assert expected in text


def test_the_best_evaluation_is_the_one_of_the_manifest_else_the_lowest() -> None:
    assert "best, step 20: 1.5" in page.render(manifest(best_step=20), RUN, [])
    assert "best, step 40: 1.1" in page.render(manifest(), RUN, [])
    assert "best, step 40: 1.1" in page.render(manifest(best_step=33), RUN, [])


def test_each_plot_says_in_words_what_it_shows() -> None:
    rows = [step(1, loss=2.5), step(2, loss=9.25), step(3, loss=1.75)]
    text = words(page.render(manifest(), rows, []))
    assert "Training loss from 2.5 at step 1 to 1.75 at step 3, lowest 1.75, highest 9.25." in text
    assert "nats per learnt token" in text and "tokens per second" in text


def test_what_was_not_recorded_has_no_plot_and_is_named() -> None:
    old = [{key: row[key] for key in ("step", "loss", "learning_rate")} for row in RUN if "loss" in row]
    read = Read(page.render(manifest(), old, []))
    assert read.plots == ["plot loss", "plot learning_rate"]
    assert "Not recorded in this run: held-out loss, gradient norm, speed, memory." in read.text
    assert "of 500,000 in the data" in read.text
    assert "Not recorded" not in Read(page.render(manifest(), RUN, [])).text


def test_a_run_of_pairs_shows_its_rewards_and_claims_no_perplexity() -> None:
    rows = [step(number, reward_accuracy=0.5, reward_margin=-0.25) for number in range(1, 4)]
    read = Read(page.render(manifest(), [*rows, evaluation(3, 0.6)], []))
    assert read.plots[-2:] == ["plot reward_accuracy", "plot reward_margin"]
    assert "nats per pair of answers" in read.text and "perplexity" not in read.text


@pytest.mark.parametrize("rows", [[], [step(1)], [step(1), evaluation(1, 1.0)], [evaluation(0, 2.0)]])
def test_a_run_of_one_step_or_none_has_a_page_too(rows: list[dict[str, object]]) -> None:
    text = page.render(manifest(), rows, [])
    assert not re.search(r"\b(?:nan|inf)\b", text, re.IGNORECASE)
    assert text.count("<circle") >= len(rows)


def test_numbers_that_cannot_be_drawn_are_left_out() -> None:
    rows = [step(1), step(2, loss=float("nan"), grad_norm=float("inf")), step(3, loss=None, memory_gb=True)]
    text = page.render(manifest(seconds=float("nan"), steps="many"), rows, [])
    assert not re.search(r"\b(?:nan|inf)\b", text, re.IGNORECASE)
    assert "Gradient norm from 1.292 at step 1 to 1.98 at step 3" in words(text)


def test_a_value_too_small_to_draw_is_drawn_as_zero_and_true_is_no_number() -> None:
    rows = [step(1, grad_norm=1e-300), step(2, grad_norm=True), step(3, grad_norm=1.0), step(-4, loss=77.0)]
    text = words(page.render(manifest(), rows, []))
    assert "Gradient norm from 0 at step 1 to 1 at step 3, lowest 0, highest 1. Median 0.5." in text
    assert "77" not in text


def test_a_resume_is_marked_where_it_was() -> None:
    marks = r'<line class="resumed" x1="([\d.]+)%"'
    assert re.findall(marks, page.render(manifest(resumed_at=[30, 45]), RUN, [])) == ["50.0", "75.0"]
    assert re.findall(marks, page.render(manifest(resumed_at=[61]), RUN, [])) == []


def test_of_a_long_prompt_the_last_lines_are_the_heading_and_all_of_it_is_there() -> None:
    long = "Tools: " + "{} " * 200 + "\nAnswer in Portuguese.\nWhat time is it in Porto?"
    text = page.render(manifest(), [], [Generation(long, "", "", "")])
    assert '<h3 class="prompt">… Answer in Portuguese.\nWhat time is it in Porto?</h3>' in text
    assert f"the whole prompt, {len(long)} characters" in text and long in text
    short = page.render(manifest(), [], [TALK])
    assert '<h3 class="prompt">What is 2 + 2?</h3>' in short and "the whole prompt" not in short


def test_a_step_that_was_run_again_after_a_resume_counts_once() -> None:
    text = words(page.render(manifest(), [step(1), step(2, loss=7.0), step(2, loss=3.0), step(3)], []))
    assert "learnt tokens 450 of 3,000 trained on" in text
    assert "highest 7" not in text


def test_the_gradient_norm_is_logarithmic_where_a_spike_would_flatten_it() -> None:
    assert "logarithmic" not in page.render(manifest(), RUN, [])
    assert "logarithmic" in page.render(manifest(), [*RUN, step(61, grad_norm=1000.0)], [])


def test_a_hundred_thousand_steps_are_quick_and_small_and_keep_their_spike() -> None:
    rows = [step(number) for number in range(1, 100_001)]
    rows[50_000]["loss"] = 40.0
    rows += [evaluation(number, 1.0) for number in range(100, 100_001, 100)]
    started = time.process_time()
    text = page.render(manifest(), rows, [])
    assert time.process_time() - started < 2
    assert len(text.encode()) < 1_000_000
    raw = re.search(r'<path class="raw dense" d="M([^"]+)"', text)
    assert raw is not None
    points = [tuple(map(float, point.split(","))) for point in raw[1].split(" ")]
    assert len(points) <= 1000
    assert min(points, key=lambda point: point[1]) == (500.0, 0.0)


def test_writing_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = adapter(tmp_path / "adapter", RUN)
    first = page.write(folder, [Generation("half a pair \ud83d", "", "", "")])
    assert first == folder / "report.html"
    assert "half a pair \\ud83d" in first.read_text(encoding="utf-8")
    before = first.read_text(encoding="utf-8")

    def interrupted(_: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        page.write(folder, [TALK])
    assert first.read_text(encoding="utf-8") == before


def test_a_folder_without_metrics_has_a_page_without_plots(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "adapter", [])
    (folder / "metrics.jsonl").unlink()
    assert "Not recorded in this run: training loss," in page.write(folder, []).read_text()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("manifest.json", None, "holds no manifest.json, so it is no adapter; give an adapter's folder."),
        (
            "manifest.json",
            "{}",
            "is no adapter manifest (name: missing; it is required); train the adapter again.",
        ),
        ("metrics.jsonl", '{"step": 1}\n{"st', "line 2 is no JSON object; remove the line and try again."),
        ("metrics.jsonl", "[1]\n", "line 1 is no JSON object; remove the line and try again."),
    ],
)
def test_files_that_cannot_be_read_are_named(
    tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    folder = adapter(tmp_path / "adapter", [])
    (folder / name).unlink() if content is None else (folder / name).write_text(content)
    with pytest.raises(UserError, match=re.escape(message)):
        page.write(folder, [])


def test_prompts_are_called_held_out_only_where_they_were() -> None:
    aside = manifest()
    none = aside.model_copy(update={"dataset": aside.dataset.model_copy(update={"heldout": None})})
    assert "Held-out prompts, answered by" in words(page.render(aside, RUN, [TALK]))
    said = words(page.render(none, RUN, [TALK]))
    assert "Held-out prompts" not in said
    assert "Prompts that were trained on, as nothing was held out, answered by" in said
