"""What is wrong with a page that is to be read from the back row: small texts, texts on each other or outside of the
screen, and what scrolls."""

from playwright.sync_api import Page

LEAST = 24
"""Pixels of a text, but for parts of a formula."""

_WRONG = """least => {
  const wrong = [], boxes = [], page = document.querySelector("#page");
  const walker = document.createTreeWalker(page, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const of = node.parentElement, name = node.data.trim().slice(0, 30);
    if (!name || of.closest("option") || !of.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const rects = [...range.getClientRects()].filter(rect => rect.width && rect.height);
    const size = parseFloat(getComputedStyle(of).fontSize) * (of.closest("svg") ? of.getScreenCTM().a : 1);
    if (rects.length && size < least - 0.05 && !of.closest("math")) wrong.push(`${size.toFixed(1)} px: ${name}`);
    for (const rect of rects) {
      const outside = rect.left < -1 || rect.top < -1 || rect.right > innerWidth + 1 || rect.bottom > innerHeight + 1;
      if (outside) wrong.push(`outside: ${name}`);
      if (!of.closest("math")) boxes.push([rect, node, name]);
    }
  }
  boxes.forEach(([a, one, name], i) => boxes.slice(0, i).forEach(([b, other, before]) => {
    const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    // The box of a line is taller than its letters.
    if (one !== other && width > 3 && height > 8) wrong.push(`on each other: ${before} | ${name}`);
  }));
  for (const one of [document.scrollingElement, page.querySelector("section")]) {
    const scrolls = one.scrollHeight > one.clientHeight + 1 || one.scrollWidth > one.clientWidth + 1;
    if (scrolls) wrong.push(`scrolls: ${one.localName} of ${one.scrollWidth} x ${one.scrollHeight}`);
  }
  return wrong;
}"""


def wrong(page: Page) -> list[str]:
    """Each thing that is wrong, in words."""
    return page.evaluate(_WRONG, LEAST)
