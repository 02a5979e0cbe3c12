"""The stock MLflow UI in a browser, as an operator uses it."""

from itertools import count
from pathlib import Path
from typing import Self

from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, expect

from deploy.servers import Mlflow

ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 60_000  # a page is drawn in a second, on a busy machine in many


def launch(playwright: Playwright, program: str) -> Browser:
    """Start the machine's own Chromium."""
    return playwright.chromium.launch(executable_path=program, args=list(ARGS))


class Operator:
    """A person before a browser of their own, logged in at an MLflow server."""

    _shots = count(1)

    def __init__(self, browser: Browser, server: Mlflow, model: str, screenshots: Path) -> None:
        login = {"username": server.username, "password": server.password}
        self._context: BrowserContext = browser.new_context(
            http_credentials=login, viewport={"width": 1500, "height": 1000}
        )
        self._context.route(lambda url: not url.startswith((server.url, "blob:")), lambda route: route.abort())
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self._server = server.url
        self._url = f"{server.url}/#/models/{model}"
        self._screenshots = screenshots

    def close(self) -> None:
        self._context.close()

    def open(self, version: str) -> Self:
        """Open the page of a version anew."""
        self.page.goto("about:blank")
        self.page.goto(f"{self._url}/versions/{version}")
        self.page.get_by_test_id("add-tag-button").wait_for()
        return self

    def tag(self, name: str, value: str) -> None:
        """Set a tag in the form below the table, which takes new names, or in the row of its own."""
        row = self._row(name)
        if row.count():
            row.get_by_test_id("editable-table-button-edit").click()
            cell = self.page.get_by_role("row").filter(has=self.page.get_by_test_id("editable-table-button-save"))
            cell.get_by_role("textbox").fill(value)
            self.page.get_by_test_id("editable-table-button-save").click()
            return
        self.page.get_by_test_id("tags-form-input-name").fill(name)
        self.page.get_by_test_id("tags-form-input-value").fill(value)
        self.page.get_by_test_id("add-tag-button").click()

    def decide(self, version: str, word: str) -> None:
        """Set the decision on a version's page."""
        self.open(version).tag("homeostat.decision", word)

    def answer(self, version: str) -> str:
        """Return the answer that the page shows, reloaded until there is one."""
        self.open(version)
        shown = self._row("homeostat.decision_answer")
        expect(shown).to_have_count(1, timeout=PATIENCE_MS)
        return str(shown.get_by_role("cell").nth(1).inner_text())

    def add_alias(self, version: str, alias: str) -> None:
        """Give a version an alias by the dialog; it is taken from whoever has it."""
        dialog = self._aliases(version)
        dialog.get_by_role("combobox").fill(alias)
        dialog.get_by_role("combobox").press("Enter")
        self._save(dialog)

    def remove_alias(self, version: str, alias: str) -> None:
        """Take an alias from a version by the dialog."""
        dialog = self._aliases(version)
        dialog.get_by_title(alias, exact=True).get_by_role("button").click()
        self._save(dialog)

    def card(self, experiment_id: str, run_id: str) -> str:
        """Open the decision card among the artifacts of a version's run and return what it says."""
        self.page.goto("about:blank")
        self.page.goto(f"{self._server}/#/experiments/{experiment_id}/runs/{run_id}/artifacts/decision_card.html")
        frame = self.page.frame_locator("iframe")
        frame.locator("h1").wait_for()
        return str(frame.locator("body").inner_text())

    def shoot(self, name: str) -> None:
        """Keep a picture of the page."""
        self.page.screenshot(path=self._screenshots / f"{next(self._shots):02}-{name}.png")

    def _row(self, name: str) -> Locator:
        return self.page.get_by_role("row").filter(has=self.page.get_by_role("cell", name=name, exact=True))

    def _aliases(self, version: str) -> Locator:
        self.open(version)
        add = self.page.get_by_role("button", name="Add", exact=True).first  # where it has none yet
        edit = self.page.get_by_title("Edit aliases")
        (edit if edit.count() else add).click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_role("combobox").wait_for()
        return dialog

    def _save(self, dialog: Locator) -> None:
        dialog.get_by_role("button", name="Save aliases").click()
        dialog.wait_for(state="hidden")
