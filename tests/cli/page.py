"""What every HTML page of Kiln keeps: it is well formed and one file."""
import html.parser
import re
import sys

VOID = {"meta", "img", "br", "link"}


def check(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")


class Page(html.parser.HTMLParser):
    """Checks that elements nest, and collects attributes that could load something."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.references, self.text = [], [], [], ""
        self.feed(text)
        check(not self.open, f"elements are closed: {self.open}")

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [value for key, value in attributes if key in ("src", "href", "srcset")]
        check(not any(key.startswith("on") for key, _ in attributes), "no handlers")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        check(self.open and self.open.pop() == tag, f"</{tag}> closes what is open")

    def handle_data(self, data):
        self.text += data


def check_page(path):
    """The parsed page of a file."""
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    check("script" not in page.tags and "link" not in page.tags, "no scripts, no links")
    check(all(value.startswith("data:image/png;base64,") for value in page.references), "everything is inside")
    check("prefers-color-scheme:dark" in text, "follows light and dark")
    check(not re.search(r"url\(|@import|nan\b|inf[\" ]", text), "no outside files, no odd numbers")
    return page
