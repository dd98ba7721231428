"""What tests read of a page and do to it, as a person would."""

import re
from urllib.parse import parse_qs, urlsplit

import numpy as np

_PIXELS = """(name) => {
  const canvas = document.getElementById(name);
  // A copy, since a browser warns of a canvas that is read often.
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  return Array.from(copy.getImageData(0, 0, canvas.width, canvas.height).data);
}"""
# The address follows once the place has rested, and the image as soon as it is decoded.
_RESTS = """() => {
  if (document.getElementById("decoded").getAttribute("aria-busy") === "true") return false;
  const now = location.hash;
  const was = window.lastAddress;
  window.lastAddress = { now, since: was?.now === now ? was.since : performance.now() };
  return performance.now() - window.lastAddress.since > 350;
}"""


def started_page(context, address, problems):
    """A page that has started; what goes wrong in it from now on is added to ``problems``."""
    page = context.new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type != "log" else None)
    page.on("requestfailed", lambda request: problems.append(request.url))
    page.goto(address)
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    return page


def go(page, address):
    """Open a link into a page that is open, such as ``#z=0.5,1``, and wait until it is there."""
    page.evaluate("(hash) => { location.hash = hash; }", address)
    rest(page)


def rest(page):
    """Wait until the image is decoded and the address has kept the place."""
    page.evaluate("() => { window.lastAddress = undefined; }")
    page.wait_for_function(_RESTS, polling=50)


def pixels_of(page, name, channels=1):
    """The pixels of a canvas, uint8 (H, W, channels)."""
    height, width = page.evaluate(
        "(name) => [document.getElementById(name).height, document.getElementById(name).width]", name
    )
    return np.array(page.evaluate(_PIXELS, name), np.uint8).reshape(height, width, 4)[..., :channels]


def address_of(page):
    """What the address keeps, by name: lists of numbers."""
    parts = parse_qs(urlsplit(page.url).fragment)
    return {name: [float(number) for number in values[0].split(",")] for name, values in parts.items()}


def latent_of(page):
    """The place that the address keeps, float32 (1, L)."""
    return np.array([address_of(page)["z"]], np.float32)


def posterior_of(page):
    """Means and deviations by the name of the dimension, as the page says them."""
    found = {}
    for row in page.query_selector_all(".slider"):
        text = row.query_selector(".posterior").text_content().replace("−", "-")
        mean, deviation = map(float, re.fullmatch(r"posterior (\S+) ± (\S+)", text).groups())
        found[row.query_selector(".name").text_content()] = (mean, deviation)
    return found


def drag(page, name, places):
    """Press on an element at the first of ``places``, shares of its width and height, and release at the last."""
    page.locator(f"#{name}").scroll_into_view_if_needed()
    box = page.locator(f"#{name}").bounding_box()
    points = [(box["x"] + float(x) * box["width"], box["y"] + float(y) * box["height"]) for x, y in places]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=5)
    page.mouse.up()
    # Over a point of the plane, the mouse would show that point's image.
    page.mouse.move(1, 1)


def half_of(page):
    """Half a side of the plane, in the unit of the latent space."""
    return page.evaluate("() => JSON.parse(document.getElementById('facts').textContent).planes[0].half")


def shifted(page):
    """How far the page's parts have moved by themselves so far (Cumulative Layout Shift)."""
    return page.evaluate(
        """() => new Promise((resolve) => {
          const sum = (list) => resolve(list.getEntries().reduce((total, { value }) => total + value, 0));
          new PerformanceObserver(sum).observe({ type: "layout-shift", buffered: true });
          setTimeout(() => resolve(0), 500);
        })"""
    )
