"""A page to look into: its sections with their texts, tables and pictures, read by Python's own parser."""

from html.parser import HTMLParser

import pytest

from tests.end_to_end.conftest import recorded_run, run

__all__ = ["recorded_run", "run"]
ALONE = ("meta", "br", "img", "link", "input", "hr")


class Document(HTMLParser):
    """What a page holds, by section; every element must be closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open = []
        self.tags = []
        self.attributes = []
        self.sections, self.section = {}, None
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        self.attributes += list(values.items())
        if tag not in ALONE:
            self.open.append(tag)
        if tag == "section":
            self.section = self.sections.setdefault(
                values["id"], {"text": [], "rows": [], "svg": 0, "titles": []}
            )
        if self.section is None:
            return
        if tag == "svg":
            self.section["svg"] += 1
        if tag == "tr":
            self.section["rows"].append([])
        if tag in ("td", "th"):
            self.section["rows"][-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "section":
            self.section = None

    def handle_data(self, data):
        if self.section is None:
            return
        self.section["text"].append(data)
        if self.open[-1] in ("td", "th"):
            self.section["rows"][-1][-1] += data
        if self.open[-1] == "title":
            self.section["titles"].append(data)

    def rows(self, section, first_cell):
        """The cells behind the row whose first cell is this."""
        return next(
            row[1:] for row in self.sections[section]["rows"] if row[:1] == [first_cell]
        )

    def text(self, section):
        return " ".join("".join(self.sections[section]["text"]).split())


@pytest.fixture
def document():
    return Document
