"""The page in a browser: it is clicked, zoomed and dragged, and says nothing to network or console.

It needs selenium and Debian's chromium and chromium-driver, or others of these names.
"""

import json
import re
import shutil
from contextlib import suppress

import numpy as np
import pytest

from sklearn_capoz.reports import _report, write_report
from sklearn_capoz.reports._sections import HISTORY
from sklearn_capoz.scenes import ClassMap, assess

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
waiting = pytest.importorskip("selenium.webdriver.support.wait")

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    names = {"chromium": ("chromium", "chromium-browser"), "driver": ("chromedriver",)}
    found = {k: next(filter(None, map(shutil.which, v)), None) for k, v in names.items()}
    if missing := [k for k, path in found.items() if path is None]:
        pytest.skip(f"there is no {' and no '.join(missing)}: apt-get install chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = found["chromium"]
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(found["driver"]))
    yield driver
    driver.quit()


class Opened:
    """A page in the browser, and what a reader does with it."""

    def __init__(self, driver, path, width):
        self.driver, self.path = driver, path
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        for log in ("browser", "performance"):
            driver.get_log(log)
        driver.get(path.as_uri())
        waiting.WebDriverWait(driver, 20).until(
            lambda d: d.execute_script("return document.body.dataset.ready")
        )

    def __call__(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def text(self, selector):
        return self("return document.querySelector(arguments[0]).textContent", selector)

    def place_of(self, row, column, shape):
        """Where the middle of a pixel is on the screen, while the whole map is shown."""
        box = self(
            "const b = document.getElementById('map').getBoundingClientRect();"
            "return [b.left, b.top, b.width, b.height]"
        )
        scale = min(box[2] / shape[1], box[3] / shape[0])
        left, top = (
            box[0] + (box[2] - scale * shape[1]) / 2,
            box[1] + (box[3] - scale * shape[0]) / 2,
        )
        return left + (column + 0.5) * scale, top + (row + 0.5) * scale

    def mouse(self, kind, x, y, **more):
        self.driver.execute_cdp_cmd(
            "Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **more}
        )

    def click(self, x, y):
        self.mouse("mouseMoved", x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)

    def pointed(self, x, y):
        self.mouse("mouseMoved", x, y)
        return self.text("#place").partition(" (")[0]

    def values(self):
        lines = self("return document.querySelector('#pixel-values textarea').value").splitlines()
        return np.array([[float(part) for part in line.split("\t")] for line in lines])

    def complaints(self):
        """Lines in the console, and addresses that were asked for beside the page's own."""
        asked = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                asked.append(message["params"]["request"]["url"])
        # A slow browser still loads the page that it opens with.
        own = ("data:", "chrome:", self.path.as_uri())
        foreign = [url for url in asked if not url.startswith(own)]
        return self.driver.get_log("browser"), foreign


@pytest.fixture(scope="module")
def pages(case):
    """Paths of a page with everything, and of one whose spectra are told by directions."""
    path = [[i, 30 - 4 * i, 1747 - 200 * i, 13976 - 1600 * i, 0.9 - i / 20, 0.9] for i in range(6)]
    pruning = {"columns": HISTORY, "rows": path, "kept": 4, "units": 14}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_report, "pruning_of", lambda model: pruning)
        full = write_report(
            case.folder / "full.html", case.map, case.scene, model=case.model,
            assessment=assess(case.map, case.truth),
        )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_report, "ROOM", 20_000)
        patch.setattr(_report, "LEAST_ROOM", 20_000)
        coded = write_report(
            case.folder / "coded.html", ClassMap(case.codes, case.names), case.scene
        )
    return full, coded


PIXELS = [(0, 39), (29, 5), (17, 23), (8, 30)]


@pytest.mark.parametrize("which", [0, 1], ids=["exact", "coded"])
@pytest.mark.parametrize("width", [1200, 400])
def test_a_click_shows_the_pixel_s_spectrum(browser, pages, case, read_page, width, which):
    page = Opened(browser, pages[which], width)
    expected = read_page(pages[which]).spectra()
    for row, column in PIXELS:
        page.click(*page.place_of(row, column, case.codes.shape))
        name = case.names[case.codes[row, column]]
        assert page.text("#pixel-title") == f"Row {row}, column {column}: {name}"
        nm, reflectance = page.values().T
        np.testing.assert_allclose(nm, case.wavelengths)
        np.testing.assert_allclose(reflectance, expected[row, column], atol=1e-5)
        tolerance = 5e-5 if which == 0 else 0.03  # the page says what it is
        np.testing.assert_allclose(reflectance, case.cube[row, column], atol=tolerance)
        assert "this pixel" in page.text("#pixel-key")
        assert f"mean of {name}" in page.text("#pixel-key")
        if which == 0:
            shown = page(
                "return [...document.querySelectorAll('.trust-row')].map(r => r.innerText)"
            )
            for line, layer, value in zip(
                shown, ("probability", "margin", "agreement", "likeness"), case.trust[row, column],
                strict=True,
            ):  # fmt: skip
                assert line.split()[0] == layer
                assert float(line.split()[1]) == pytest.approx(value, abs=0.008)
    page.click(*page.place_of(3, 2, case.codes.shape))
    assert page.text("#pixel-title") == "Row 3, column 2: no data"
    assert page.text("#pixel-key") == "No data here."
    assert page.complaints() == ([], [])


def test_wheel_drag_buttons_and_keys(browser, pages, case):
    page = Opened(browser, pages[0], 1200)
    shape = case.codes.shape
    scale = lambda: float(page("return document.getElementById('map').dataset.scale"))  # noqa: E731
    whole, at = scale(), page.place_of(12, 30, shape)
    assert page.pointed(*at).startswith("row 12, column 30")
    page.mouse("mouseWheel", *at, deltaX=0, deltaY=-200)
    assert scale() == pytest.approx(whole * np.exp(0.32), rel=1e-3)
    assert page.pointed(*at).startswith("row 12, column 30")  # what is zoomed at stays
    # Dragged by three pixels of the map, the third to the left is here; and nothing is chosen.
    moved = at[0] + 3 * scale(), at[1]
    page.mouse("mouseMoved", *at)
    page.mouse("mousePressed", *at, button="left", clickCount=1)
    for x in np.linspace(at[0], moved[0], 8):
        page.mouse("mouseMoved", float(x), at[1], button="left", buttons=1)
    page.mouse("mouseReleased", *moved, button="left", clickCount=1)
    assert page.pointed(*moved).startswith(("row 12, column 30", "row 12, column 29"))
    assert page.text("#pixel-title").startswith("Means of the classes")
    for button, factor in (("zoom-in", 1.6), ("zoom-out", 1 / 1.6)):
        before = scale()
        page(f"document.getElementById('{button}').click()")
        assert scale() == pytest.approx(before * factor, rel=1e-3)
    page.mouse("mouseWheel", *at, deltaX=0, deltaY=3000)
    assert scale() == pytest.approx(whole)  # no smaller than the window
    page.mouse("mouseWheel", *at, deltaX=0, deltaY=-3000)
    assert scale() == 40
    page("document.getElementById('zoom-fit').click()")
    assert scale() == pytest.approx(whole)
    page.click(*at)
    for key in ("ARROW_DOWN", "ARROW_RIGHT", "ARROW_RIGHT", "ARROW_UP", "ARROW_UP"):
        browser.find_element("id", "map").send_keys(getattr(webdriver.Keys, key))
    assert page.text("#pixel-title").startswith("Row 11, column 32")
    assert page.complaints() == ([], [])


def test_two_fingers_zoom(browser, pages, case):
    page = Opened(browser, pages[0], 400)
    before = float(page("return document.getElementById('map').dataset.scale"))
    x, y = page.place_of(15, 20, case.codes.shape)

    def touch(kind, *gaps):
        points = [{"x": x + sign * gap, "y": y, "id": i} for gap in gaps
                  for i, sign in enumerate((-1, 1))]  # fmt: skip
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        touch("touchStart", 20)
        for gap in (30, 45, 60):
            touch("touchMove", gap)
        touch("touchEnd")
    finally:
        browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    after = float(page("return document.getElementById('map').dataset.scale"))
    assert after == pytest.approx(3 * before, rel=0.1)
    assert page.text("#pixel-title").startswith("Means of the classes")  # fingers choose nothing


def test_the_map_is_painted_in_its_colours_and_a_class_is_shown_alone(browser, pages, case):
    page = Opened(browser, pages[0], 1200)

    def painted(row, column):
        x, y = page.place_of(row, column, case.codes.shape)
        return tuple(
            page(
                "const map = document.getElementById('map'), b = map.getBoundingClientRect();"
                "return [...map.getContext('2d').getImageData(arguments[0] - b.left,"
                " arguments[1] - b.top, 1, 1).data].slice(0, 3)", x, y,
            )
        )  # fmt: skip

    places = {code: tuple(np.argwhere(case.codes == code)[0].tolist()) for code in (1, 2, 3, 4)}
    assert {code: painted(*place) for code, place in places.items()} == {
        code: case.colors[code] for code in places
    }
    page("document.querySelector('#legend tr[data-code=\"2\"]').click()")
    assert painted(*places[2]) == case.colors[2]
    assert min(painted(*places[1])) > 230
    page("document.querySelector('#legend tr[data-code=\"2\"]').click()")
    assert painted(*places[1]) == case.colors[1]


#: What lies beyond the window or its chart, or can be scrolled to its end only.
BEYOND = """
    const found = [];
    for (const e of document.querySelectorAll("main *, header *")) {
      const box = e.getBoundingClientRect(), chart = e.closest("svg");
      const style = getComputedStyle(e), frame = chart && chart.getBoundingClientRect();
      const beyond = (outer) => box.left < outer.left - 1 || box.right > outer.right + 1;
      if (!box.width || e.closest("[hidden]")) continue;
      if (beyond({ left: 0, right: innerWidth })) found.push(e.outerHTML.slice(0, 99));
      if (e.tagName === "text" && (beyond(frame) || box.bottom > frame.bottom + 1))
        found.push(e.outerHTML);
      if (e.clientWidth && e.scrollWidth > e.clientWidth + 1 && style.overflowX !== "visible")
        found.push(`scrolls: ${e.outerHTML.slice(0, 99)}`);
    }
    return found"""


@pytest.mark.parametrize("width", [1200, 400])
def test_nothing_is_cut_off(browser, pages, case, width):
    page = Opened(browser, pages[0], width)
    page.click(*page.place_of(17, 23, case.codes.shape))
    assert page("return document.documentElement.scrollWidth") == width
    assert page(BEYOND) == []
    charts = page("return document.querySelectorAll('.chart svg').length")
    # The pixel, four classes, four trust layers of each, and the pruning.
    assert charts == 1 + 4 + 4 * 4 + 1


def test_hull_quotients_are_those_of_the_package(browser, pages, case):
    from sklearn_capoz.spectral import ContinuumRemoval

    page = Opened(browser, pages[0], 1200)
    page.click(*page.place_of(17, 23, case.codes.shape))
    nm, reflectance = page.values().T
    expected = ContinuumRemoval(nm.tolist()).fit_transform(reflectance[None])[0]
    shown = page(
        "return hullQuotient(arguments[0], arguments[1])", nm.tolist(), reflectance.tolist()
    )
    np.testing.assert_allclose(shown, expected, atol=1e-9)
    page("document.querySelector('input[value=hull]').click()")
    assert "hull quotient" in page.text("#pixel-chart")
    assert "hull quotient" in page.text("#class-charts")
    gap = page("return hullQuotient([1, 2, 3, 4], [1, null, 0.5, 1])")
    assert gap == [1, None, 0.5, 1]


def test_a_band_is_read_off_by_pointing(browser, pages, case):
    page = Opened(browser, pages[0], 1200)
    page.click(*page.place_of(17, 23, case.codes.shape))
    nm, reflectance = page.values().T
    box = "document.querySelector('#pixel-chart svg').getBoundingClientRect()"
    left, top, width = page(f"const b = {box}; return [b.left, b.top, b.width]")
    for share in (0.2, 0.7):
        page.mouse("mouseMoved", left + share * width, top + 100)
        read = page.text("#pixel-chart .readout")
        found = re.fullmatch(r"(\d+) nm: ([\d.]+)", read)
        band = nm.tolist().index(float(found[1]))
        assert float(found[2]) == pytest.approx(reflectance[band], rel=6e-3)
        assert abs(band / 50 - share) < 0.15  # the axis takes a part of the width
    page.mouse("mouseMoved", left + 10, top - 60)
    assert page.text("#pixel-chart .readout") == ""


def test_evil_names_are_shown_as_they_are(browser, case, tmp_path):
    evil = [
        "</script><script>alert(1)</script>",
        "<img src=x onerror=alert(2)>",
        "&amp;{{ 7 * 7 }}",
    ]
    codes = np.where(case.codes > 0, 1 + np.arange(40) % 3, 0).astype("uint8")
    mapped = ClassMap(codes, ("no data", *evil))
    page = Opened(browser, write_report(tmp_path / "p.html", mapped, case.scene), 1200)
    cells = "document.querySelectorAll('#legend tbody td:first-child')"
    names = page(f"return [...{cells}].map(cell => cell.textContent)")
    assert names == evil
    page.click(*page.place_of(17, 30, case.codes.shape))
    assert page.text("#pixel-title").endswith(evil[0])
    with suppress(Exception):
        pytest.fail(f"a dialog opened: {browser.switch_to.alert.text}")
    assert page.complaints() == ([], [])


def test_a_thinned_page_shows_the_nearest_stored_spectrum(browser, case, tmp_path, read_page):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sklearn_capoz.reports._thinning.STORED_PIXELS", 150)
        patch.setattr("sklearn_capoz.reports._thinning.PICTURE_PIXELS", 400)
        patch.setattr(_report, "ROOM", 4_000)
        patch.setattr(_report, "LEAST_ROOM", 4_000)
        path = write_report(tmp_path / "p.html", case.map, case.scene)
    stored = read_page(path)
    assert stored.data["spectra"]["kind"] == "coded"
    assert stored.data["thinning"] == {"picture": 2, "stored": 4, "first": 2}
    # A pixel whose class is another than that of the pixel whose spectrum is shown.
    rows, columns = np.indices(case.codes.shape)
    near = np.minimum(rows // 4 * 4 + 2, 28), columns // 4 * 4 + 2
    differs = case.codes[rows // 2 * 2, columns // 2 * 2] != case.codes[near]
    row, column = np.argwhere(differs & (columns >= 8))[0].tolist()
    there = int(near[0][row, column]), int(near[1][row, column])
    page = Opened(browser, path, 1200)
    page.click(*page.place_of(row, column, case.codes.shape))
    shown = case.names[case.codes[row // 2 * 2, column // 2 * 2]]  # the pixel of the picture
    other = f"(spectrum of row {there[0]}, column {there[1]}: {case.names[case.codes[there]]})"
    assert page.text("#pixel-title") == f"Row {row}, column {column}: {shown} {other}"
    expected = stored.spectra()[row // 4, column // 4]
    np.testing.assert_allclose(page.values()[:, 1], expected, atol=1e-5)
    assert f"mean of {case.names[case.codes[there]]}" in page.text("#pixel-key")
