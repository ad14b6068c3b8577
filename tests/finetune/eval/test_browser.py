"""The pages in a real browser, as a person uses them: on a phone, in the dark, typing into the filter."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from finetune.eval.command import evaluate
from finetune.eval.compare import compare
from tests.finetune.eval.browser import CHROMIUM, Page, browsing
from tests.finetune.eval.endpoint import Fake

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

REPORT = Path("out/report.html")
VISIBLE = "[...document.querySelectorAll('.row')].filter(row => row.offsetHeight).map(row => "
VISIBLE += "row.querySelector('.id').textContent.split(' ')[0])"
WIDEST = "document.documentElement.scrollWidth"
SIDEWAYS = """[...document.querySelectorAll('main *')].filter(element => !element.closest('.wide') &&
  element.getBoundingClientRect().right > innerWidth + 1).map(element => element.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browsing() as tab:
        yield tab


@pytest.fixture
def report(suite: Path, fake: Fake, page: Page) -> Page:
    """The report of base and adapter, open in the browser."""
    evaluate(suite, ["base", "support"], fake.url, Path("out"))
    page.console.clear()
    page.size(1200, 900)
    page.open(REPORT)
    return page


def test_the_filter_follows_the_hand_and_the_console_stays_silent(report: Page) -> None:
    assert report.get(VISIBLE) == ["c0", "c1", "c2", "c3", "p1", "p2"]
    report.get("document.querySelector('[name=q]').focus()")
    report.type("quito")
    assert report.get(VISIBLE) == ["c1"]
    assert report.get("document.getElementById('count').value") == "1 of 6"
    assert report.get("location.hash") == "#q=quito"
    report.get(
        "form.elements.q.value = '', form.elements.filter.value = 'wrong:support',"
        "form.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    assert report.get(VISIBLE) == ["c3"]
    report.open(REPORT, "#filter=disagree")
    assert report.get(VISIBLE) == ["c0", "c1", "c2", "c3"]
    assert report.console == []


def test_the_console_is_really_listened_to(report: Page) -> None:
    report.get("console.error('heard')")
    report.get("setTimeout(() => { throw new Error('thrown'); })")
    report.get("new Promise(resolve => setTimeout(resolve, 50))")
    report.open(REPORT)
    assert "heard" in str(report.console) and "thrown" in str(report.console)


@pytest.mark.parametrize("width", [390, 320, 800])
def test_nothing_is_wider_than_the_screen(report: Page, width: int) -> None:
    compare([Path("out")], Path("compared.html"))
    report.size(width, 844, phone=True)
    for name in (REPORT, Path("compared.html")):
        report.open(name)
        assert report.get("innerWidth") == width
        assert report.get(SIDEWAYS) == []
        assert report.get(WIDEST) <= width
    assert report.console == []


def test_cells_stand_below_each_other_on_a_phone(report: Page) -> None:
    report.size(390, 844, phone=True)
    report.open(REPORT)
    assert (
        report.get("Math.min(...[...document.querySelectorAll('.row td')].map(cell => cell.offsetWidth))")
        > 300
    )


def test_light_and_dark_are_both_readable(report: Page) -> None:
    """WCAG AA for every text: 4.5 to 1 against what is painted behind it."""
    for scheme in ("light", "dark"):
        report.scheme(scheme)
        report.open(REPORT)
        assert report.get(FAINT) == []
    background = "getComputedStyle(document.body).backgroundColor"
    report.scheme("light")
    light = report.get(background)
    report.scheme("dark")
    assert report.get(background) != light


def test_charts_show_latency_and_tokens(report: Page) -> None:
    labels = report.get(
        "[...document.querySelectorAll('#costs ~ * svg')].map(svg => svg.getAttribute('aria-label'))"
    )
    assert len(labels) == 2 * 2 * 2  # two charts, of two tasks, of two models
    assert sum("tokens" in label for label in labels) == 4
    assert (
        report.get("Math.min(...[...document.querySelectorAll('svg .value')].map(e => e.getBBox().width))")
        >= 0
    )


FAINT = """(() => {
  const channels = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = color => [.2126, .7152, .0722].reduce((sum, w, i) => sum + w * linear(color[i] / 255), 0);
  const behind = element => {
    for (; element; element = element.parentElement) {
      const found = channels(getComputedStyle(element).backgroundColor);
      if (found.length === 3 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.offsetHeight || element.closest("script, option")) continue;
    const text = light(channels(getComputedStyle(element).color)), paper = light(behind(element));
    const contrast = (Math.max(text, paper) + .05) / (Math.min(text, paper) + .05);
    if (contrast < 4.5) faint.push(element.outerHTML.slice(0, 100));
  }
  return faint;
})()"""
