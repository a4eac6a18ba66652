"""Takes the pictures of docs/console anew (`make screenshots`): a bus of its own, a generated day, a real Chromium."""

import base64
import datetime as dt
import os
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page

from bench.chromium import chromium, log_in
from bench.served import running_console
from connectors.generator.day import day
from lintas.demo.day import publish
from lintas.local.bus import LocalBus
from lintas.local.programs import Program
from lintas.settings import Settings
from schemas.publication import read_current

FOLDER: Final = Path(__file__).parent / "console"
SIZES: Final = {"wide": (1440, 1000), "narrow": (390, 1000)}
EVENTS: Final = 3_000
PORTIONS: Final = 9  # of the day, ten seconds each: a chart with one point is none
PORTION_SECONDS: Final = 10
BIRTH: Final = "id.go.dukcapil.birth.registered.v1"
AGREEMENT: Final = "jabar.child-welfare.birth-registered"
SYSTEM: Final = "bpjs-kesehatan.membership"
PAYLOAD: Final = '{"registration_number": "3201-LU-24112026-0001"}'
PATHS: Final = {
    "overview": "/",
    "event-types": "/event-types",
    "event-type": f"/event-types/{BIRTH}",
    "agreements": "/agreements",
    "agreement": f"/agreements/{AGREEMENT}",
    "inboxes": "/inboxes",
    "inbox": f"/inboxes/{SYSTEM}",
    "dead-letters-by-system": "/dead-letters",
    "dead-letters": f"/dead-letters/{SYSTEM}",
    "dead-letter": f"/dead-letters/{SYSTEM}/0",
    "quarantine-by-agency": "/quarantine",
    "quarantine": "/quarantine/dukcapil",
    "replays": "/replays",
    "acts": "/acts",
    "workers": "/workers",
    "history": "/history",
}
COLOURS: Final = 256
# The colours of a picture that are used most, and for each of its pixels the nearest of them.
_REDUCE: Final = """async ([url, most]) => {
  const picture = await createImageBitmap(await (await fetch(url)).blob());
  const canvas = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
  canvas.drawImage(picture, 0, 0);
  const pixels = new Uint32Array(canvas.getImageData(0, 0, picture.width, picture.height).data.buffer);
  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const palette = [...counts].sort((a, b) => b[1] - a[1]).slice(0, most).map(([colour]) => colour);
  const nearest = new Map(palette.map((colour, number) => [colour, number]));
  const part = (colour, shift) => colour >> shift & 255;
  for (const colour of counts.keys()) {
    if (nearest.has(colour)) continue;
    let best = 0, least = Infinity;
    palette.forEach((other, number) => {
      const far = [0, 8, 16].reduce((sum, shift) => sum + (part(colour, shift) - part(other, shift)) ** 2, 0);
      if (far < least) { best = number; least = far; }
    });
    nearest.set(colour, best);
  }
  const bytes = Uint8Array.from(pixels, pixel => nearest.get(pixel));
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return {width: picture.width, height: picture.height, pixels: btoa(text),
          palette: palette.flatMap(colour => [0, 8, 16].map(shift => part(colour, shift)))};
}"""


def main() -> None:
    """Everything from the bus to the files."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lintas-screenshots-") as folder:
        bus = LocalBus(Path(folder) / "bus", fast_start=True, programs=[Program("worker", ("worker",))])
        settings = bus.start(outlive=False)
        try:
            since = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
            _apply(settings)
            _publish_day(settings)
            with running_console(settings, since, Path(folder) / "console.log") as url, chromium() as browser:
                for name, taken in _pictures(browser, settings, url):
                    file = FOLDER / f"{name}.png"
                    file.write_bytes(taken)
                    print(f"{file}: {len(taken):,} bytes", flush=True)  # noqa: T201  what it is for
        finally:
            bus.stop()


def _apply(settings: Settings) -> None:
    """As a person does, so that it is among the acts."""
    command = [sys.executable, "-m", "lintas", "catalogue", "apply", "--wait"]
    subprocess.run(command, env={**os.environ, "LINTAS_HOME": str(settings.home)}, check=True)  # noqa: S603  ours


def _publish_day(settings: Settings) -> None:
    current = read_current(settings)
    assert current is not None, "a catalogue has just been applied"
    events = list(day(1, dt.datetime.now(dt.UTC).date(), EVENTS))
    size = len(events) // PORTIONS
    for number in range(PORTIONS):
        ends = time.monotonic() + PORTION_SECONDS
        publish(settings, current[1], events[number * size : (number + 1) * size], lambda _: None)
        time.sleep(max(0, ends - time.monotonic()))  # the day is to last so long


def _pictures(browser: Browser, settings: Settings, url: str) -> Iterator[tuple[str, bytes]]:
    for size, (width, height) in SIZES.items():
        context = browser.new_context(locale="en-GB", viewport={"width": width, "height": height})
        page = context.new_page()
        page.goto(url)
        yield f"log-in-{size}", _taken(page, browser)
        log_in(page, url, settings, "operator")
        page.locator("[sse-swap=books] tfoot").wait_for()
        if size == "wide":
            _act(page, url)
        for name, path in PATHS.items():
            page.goto(url + path)
            page.wait_for_load_state("load")
            if name == "overview":
                page.locator(".u-legend").wait_for()  # the chart is drawn
            yield f"{name}-{size}", _taken(page, browser)
        yield f"redrive-{size}", _taken(_trying_a_redrive(page, url), browser)
        yield f"payload-{size}", _taken(_trying_a_payload(page, url), browser)
        page.emulate_media(color_scheme="dark")
        page.goto(url)
        page.locator(".u-legend").wait_for()
        yield f"overview-dark-{size}", _taken(page, browser)
        context.close()
        context = browser.new_context(locale="id-ID", viewport={"width": width, "height": height})
        page = context.new_page()
        log_in(page, url, settings, "operator")
        page.locator(".u-legend").wait_for()
        yield f"overview-indonesian-{size}", _taken(page, browser)
        context.close()


def _act(page: Page, url: str) -> None:
    """Something for the page of acts."""
    page.goto(f"{url}/dead-letters/{SYSTEM}/0")
    page.click("section[aria-labelledby=event] summary")
    page.fill("#unmask-reason", "the branch office asks what is missing, case 2026-118")
    page.click("section[aria-labelledby=event] form.stack button")
    page.click("section[aria-labelledby=facts] button.danger")
    page.fill("#reason", "registered anew with what was missing, case 2026-118")
    page.click("form.stack button.danger")
    page.locator("p.notice.good").wait_for()


def _trying_a_redrive(page: Page, url: str) -> Page:
    page.goto(f"{url}/dead-letters/{SYSTEM}")
    page.click("#chosen ~ form button >> nth=0")
    page.locator("form.stack").wait_for()
    return page


def _trying_a_payload(page: Page, url: str) -> Page:
    page.goto(f"{url}/agreements/{AGREEMENT}")
    page.fill("#payload", PAYLOAD)
    page.click("section[aria-labelledby=test] button")
    page.locator("#judged > *").first.wait_for()
    page.locator("#judged").scroll_into_view_if_needed()
    return page


def _taken(page: Page, browser: Browser) -> bytes:
    """A picture of the window as a PNG of few colours, which is a third as large."""
    picture = base64.b64encode(page.screenshot(animations="disabled")).decode()
    context = browser.new_context()
    try:
        reduced: dict[str, Any] = context.new_page().evaluate(_REDUCE, [f"data:image/png;base64,{picture}", COLOURS])
    finally:
        context.close()
    return _png(reduced["width"], reduced["height"], bytes(reduced["palette"]), base64.b64decode(reduced["pixels"]))


def _png(width: int, height: int, palette: bytes, pixels: bytes) -> bytes:
    """Pixels that are numbers of colours, as a file (PNG specification, third edition, sections 5 and 11)."""
    lines = b"".join(b"\0" + pixels[at : at + width] for at in range(0, width * height, width))
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    ]
    written = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + written


if __name__ == "__main__":
    main()
